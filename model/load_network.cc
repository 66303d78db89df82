#include "model/load_network.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>

#include "model/block_state.h"
#include "model/checkpoint.h"
#include "model/cpu/packed_transformer.h"
#include "model/load_transformer.h"

namespace unroll {
namespace {

constexpr std::int64_t kLogitRows = 128;  // logits exist for this many positions at a time: [128, num_tokens]

/// For a machine that there is no better form for.
class PlainNetwork final : public Network {
 public:
  explicit PlainNetwork(BlockRecurrentTransformer definition) : definition_(std::move(definition)) {}

  const ModelConfig& config() const override { return definition_.config(); }
  at::Device device() const override { return definition_.device(); }
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) override {
    return definition_.forward_block(tokens.to(device()), recurrence);
  }
  void score(const at::Tensor& hidden, std::span<const std::int32_t> targets, std::vector<float>& logprobs,
             std::vector<float>* entropy) override {
    for (std::int64_t begin = 0; begin < hidden.size(0); begin += kLogitRows) {
      const auto rows = std::min(kLogitRows, hidden.size(0) - begin);
      const auto all = at::log_softmax(logits(hidden.narrow(0, begin, rows)), -1);
      for (std::int64_t row = 0; row < rows; ++row)
        logprobs.push_back(all.const_data_ptr<float>()[row * all.size(1) +
                                                       targets[static_cast<std::size_t>(begin + row)]]);
      if (!entropy) continue;
      const auto entropies = (-(all.exp() * all).sum(-1)).contiguous();
      entropy->insert(entropy->end(), entropies.const_data_ptr<float>(),
                      entropies.const_data_ptr<float>() + rows);
    }
  }
  at::Tensor logits(const at::Tensor& hidden) override {
    return definition_.to_logits(hidden).to(at::kCPU, at::kFloat);
  }

 private:
  BlockRecurrentTransformer definition_;
};

Arithmetic arithmetic_of(const std::string& dtype) {
  return dtype == "int8" ? Arithmetic::kInt8 : dtype == "bf16" ? Arithmetic::kBf16 : Arithmetic::kFp32;
}

/// What `auto` comes to: a checkpoint that was rounded to int8 loses nothing more where weights multiply as that.
std::string choose_dtype_for(const std::filesystem::path& directory, const std::string& name) {
  if (name == "auto" && cpu_supports(Arithmetic::kInt8) && storage_dtype(directory) == "int8") return "int8";
  return choose_dtype(name);
}

}  // namespace

LoadedNetwork load_network(const std::filesystem::path& directory, const ModelOptions& options) {
  LoadedNetwork loaded;
  loaded.dtype = choose_dtype_for(directory, options.dtype);
  const bool packed = cpu_supports(arithmetic_of(loaded.dtype));
  auto plain = options;
  plain.dtype = packed ? "fp32" : loaded.dtype;
  auto definition = load_transformer(directory, plain);
  for (const auto& [name, tensor] : definition.parameters()) {
    if (BlockRecurrentTransformer::is_trainable(name)) loaded.parameters += tensor.numel();
  }
  loaded.fingerprint = fingerprint(definition.config(), definition.parameters(), loaded.dtype);
  if (packed && definition.device().is_cpu()) {
    loaded.network = std::make_unique<PackedTransformer>(definition, arithmetic_of(loaded.dtype));
  } else {
    loaded.network = std::make_unique<PlainNetwork>(std::move(definition));
  }
  return loaded;
}

}  // namespace unroll
