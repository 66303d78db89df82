#include "model/tokenwise_network.h"

#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "model/load_transformer.h"
#include "model/pretrained/load_pretrained.h"

namespace unroll {
namespace {

/// `Transformer`: BlockRecurrentTransformer, PretrainedTransformer.
template <class Transformer>
class OpenedTransformer final : public TokenwiseNetwork {
 public:
  OpenedTransformer(Transformer transformer, NetworkShape shape)
      : transformer_(std::move(transformer)),
        shape_(std::move(shape)),
        block_(transformer_.open_block(recurrence_, 1)) {}

  const NetworkShape& shape() const override { return shape_; }
  std::int64_t room() const override { return shape_.block_width - block_.length; }
  at::Tensor extend(std::span<const std::int32_t> inputs) override {
    const auto tokens = at::tensor(at::ArrayRef<std::int32_t>(inputs.data(), inputs.size()), at::kLong)
                            .unsqueeze(0)
                            .to(transformer_.device());
    const auto hidden = transformer_.extend_block(tokens, block_)[0];
    if (room() == 0) {
      recurrence_ = transformer_.close_block(block_, recurrence_);
      block_ = transformer_.open_block(recurrence_, 1);
    }
    return hidden;
  }
  at::Tensor logits(const at::Tensor& hidden) override {
    return transformer_.to_logits(hidden).to(at::kCPU, at::kFloat).contiguous();
  }

 private:
  const Transformer transformer_;
  const NetworkShape shape_;
  Recurrence recurrence_;  // before the open block
  decltype(std::declval<const Transformer&>().open_block(recurrence_, 1)) block_;
};

}  // namespace

std::unique_ptr<TokenwiseNetwork> load_tokenwise_network(const std::filesystem::path& model,
                                                         const ModelOptions& options) {
  if (is_pretrained(model)) {
    auto loaded = load_pretrained(model, options);
    auto shape = loaded.transformer.shape();
    return std::make_unique<OpenedTransformer<PretrainedTransformer>>(std::move(loaded.transformer),
                                                                      std::move(shape));
  }
  auto transformer = load_transformer(model, options);
  auto shape = shape_of(transformer.config());
  return std::make_unique<OpenedTransformer<BlockRecurrentTransformer>>(std::move(transformer),
                                                                        std::move(shape));
}

}  // namespace unroll
