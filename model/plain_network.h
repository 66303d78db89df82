// A transformer's definition as a Network: LibTorch's operators, on any device. Internal to model/.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "model/network.h"

namespace unroll {

/// `Transformer`: BlockRecurrentTransformer, PretrainedTransformer.
template <class Transformer>
class PlainNetwork final : public Network {
 public:
  PlainNetwork(Transformer definition, const NetworkShape& shape)
      : definition_(std::move(definition)), shape_(shape) {}

  const NetworkShape& shape() const override { return shape_; }
  at::Device device() const override { return definition_.device(); }
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) override {
    return definition_.forward_block(tokens.to(device()), recurrence);
  }
  std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) override {
    for (std::size_t i = 0; i < blocks.size(); ++i)
      score_block(hidden[static_cast<std::int64_t>(i)], blocks[i]);
    return [] {};
  }
  at::Tensor logits(const at::Tensor& hidden) override {
    return definition_.to_logits(hidden).to(at::kCPU, at::kFloat);
  }

 private:
  /// Logits exist for this many positions at a time: [128, num_tokens].
  static constexpr std::int64_t kLogitRows = 128;

  void score_block(const at::Tensor& hidden, const Scored& block) const {
    // Stays on the device, which returns only one or two numbers per position.
    const auto ids =
        at::tensor(at::ArrayRef<std::int32_t>(block.targets.data(), block.targets.size()), at::kLong)
            .to(device());
    for (std::int64_t begin = 0; begin < hidden.size(0); begin += kLogitRows) {
      const auto rows = std::min(kLogitRows, hidden.size(0) - begin);
      const auto logits = definition_.to_logits(hidden.narrow(0, begin, rows)).to(at::kFloat);
      const auto all = at::log_softmax(logits, -1);
      append(all.gather(1, ids.narrow(0, begin, rows).unsqueeze(1)), *block.logprobs);
      if (block.entropy) append(-(all.exp() * all).sum(-1), *block.entropy);
      if (block.top_k > 0) append_top(all, block.top_k, *block.top_ids, *block.top_logprobs);
      if (block.ranks) append_ranks(all, ids.narrow(0, begin, rows), *block.ranks);
      if (block.mass) append_mass(all, block.members, *block.mass);
    }
  }
  static void append(const at::Tensor& values, std::vector<float>& to) {
    const auto here = values.to(at::kCPU).contiguous();
    to.insert(to.end(), here.const_data_ptr<float>(), here.const_data_ptr<float>() + here.numel());
  }

  const Transformer definition_;
  const NetworkShape shape_;
};

}  // namespace unroll
