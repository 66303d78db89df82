#include "model/tokenwise_network.h"

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "model/block_state.h"
#include "model/libtorch_threads.h"
#include "model/load_transformer.h"
#include "model/pretrained/load_pretrained.h"

namespace unroll {
namespace {

constexpr std::array kStateDtypes = {"fp32", "bf16", "int8"};

/// `Transformer`: BlockRecurrentTransformer, PretrainedTransformer.
template <class Transformer>
class OpenedTransformer final : public TokenwiseNetwork {
 public:
  using FormOf = std::function<StateForm(const Transformer& transformer, const char* dtype)>;

  OpenedTransformer(Transformer transformer, NetworkShape shape, FormOf form_of)
      : transformer_(std::move(transformer)),
        shape_(shape),
        form_of_(std::move(form_of)),
        block_(transformer_.open_block(recurrence_, 1)) {}

  const NetworkShape& shape() const override { return shape_; }
  std::int64_t room() const override { return shape_.block_width - block_.length; }
  at::Tensor extend(std::span<const std::int32_t> inputs) override {
    const auto tokens = at::tensor(at::ArrayRef<std::int32_t>(inputs.data(), inputs.size()), at::kLong)
                            .unsqueeze(0)
                            .to(transformer_.device());
    auto hidden = transformer_.extend_block(tokens, block_)[0];
    if (room() == 0) {
      recurrence_ = transformer_.close_block(block_, recurrence_);
      block_ = transformer_.open_block(recurrence_, 1);
    }
    return hidden;
  }
  void restore(const Recurrence& before) override {
    recurrence_ = before;
    for (auto& memory : recurrence_.memories) memory = memory.to(shape_.memory_type);
    recurrence_ = recurrence_.to(transformer_.device());
    block_ = transformer_.open_block(recurrence_, 1);
  }
  std::vector<StateForm> state_forms() const override {
    std::vector<StateForm> forms;
    forms.reserve(kStateDtypes.size());
    for (const auto* dtype : kStateDtypes) forms.push_back(form_of_(transformer_, dtype));
    return forms;
  }
  at::Tensor logits(const at::Tensor& hidden) override {
    return transformer_.to_logits(hidden).to(at::kCPU, at::kFloat).contiguous();
  }

 private:
  const Transformer transformer_;
  const NetworkShape shape_;
  const FormOf form_of_;
  Recurrence recurrence_;  // before the open block
  decltype(std::declval<const Transformer&>().open_block(recurrence_, 1)) block_;
};

/// A pretrained network that continues blocks.
class ContinuedNetwork final : public TokenwiseNetwork {
 public:
  explicit ContinuedNetwork(LoadedNetwork loaded) : loaded_(std::move(loaded)) {}

  const NetworkShape& shape() const override { return network().shape(); }
  std::int64_t room() const override { return shape().block_width - block_.length; }
  at::Tensor extend(std::span<const std::int32_t> inputs) override {
    const LibTorchThreads threads(network());
    const auto tokens =
        at::tensor(at::ArrayRef<std::int32_t>(inputs.data(), inputs.size()), at::kLong).unsqueeze(0);
    auto after = before_;
    auto hidden = network().continue_block(tokens, after, block_)[0];
    if (room() == 0) {
      before_ = std::move(after);
      block_ = {};
    }
    return hidden;
  }
  void restore(const Recurrence& before) override {
    before_ = before;
    for (auto& memory : before_.memories) memory = memory.to(shape().memory_type);
  }
  std::vector<StateForm> state_forms() const override {
    std::vector<StateForm> forms;
    for (const auto* dtype : kStateDtypes)
      forms.push_back({pretrained_fingerprint(loaded_.checkpoint, dtype), pretrained_memory_type(dtype)});
    return forms;
  }
  at::Tensor logits(const at::Tensor& hidden) override {
    const LibTorchThreads threads(network());
    return network().logits(hidden);
  }

 private:
  Network& network() const { return *loaded_.network; }

  const LoadedNetwork loaded_;
  Recurrence before_;  // the open block
  BlockStart block_;   // what it has
};

}  // namespace

std::unique_ptr<TokenwiseNetwork> load_tokenwise_network(const std::filesystem::path& model,
                                                         const ModelOptions& options) {
  if (is_pretrained(model)) {
    if (choose_device(options.device).is_cpu()) {
      auto loaded = load_pretrained_network(model, options);
      if (loaded.network->continues_blocks()) return std::make_unique<ContinuedNetwork>(std::move(loaded));
    }
    auto loaded = load_pretrained(model, options);
    auto shape = loaded.transformer.shape();
    return std::make_unique<OpenedTransformer<PretrainedTransformer>>(
        std::move(loaded.transformer), shape,
        [checkpoint = loaded.checkpoint](const PretrainedTransformer&, const char* dtype) {
          return StateForm{pretrained_fingerprint(checkpoint, dtype), pretrained_memory_type(dtype)};
        });
  }
  auto transformer = load_transformer(model, options);
  auto shape = shape_of(transformer.config());
  return std::make_unique<OpenedTransformer<BlockRecurrentTransformer>>(
      std::move(transformer), shape,
      [memory = shape.memory_type](const BlockRecurrentTransformer& definition, const char* dtype) {
        const auto config = to_json(definition.config()).dump();
        return StateForm{fingerprint(config, definition.parameters(), dtype), memory};
      });
}

}  // namespace unroll
