#include "model/gpu/self_check.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

namespace unroll {
namespace {

constexpr std::int64_t kDocuments = 2;
// The first has no memories; the third is the second that may be replayed from a recording.
constexpr std::int64_t kFullBlocks = 3;

/// 0: equal. Infinite if a number is not finite.
double difference(const at::Tensor& wanted, const at::Tensor& got) {
  if (wanted.sizes() != got.sizes()) return INFINITY;
  const auto error = (wanted - got).pow(2).mean().sqrt() / (wanted - wanted.mean()).pow(2).mean().sqrt();
  const auto value = error.item<double>();
  return std::isnan(value) ? INFINITY : value;
}

class Comparison {
 public:
  Comparison(const BlockRecurrentTransformer& definition, Network& form)
      : definition_(definition), form_(form) {}

  void run() {
    const auto width = definition_.config().block_width, all = kFullBlocks * width + (width + 1) / 2;
    const auto tokens = at::arange(kDocuments * all, at::kLong)
                            .mul(7919)
                            .remainder(definition_.config().num_tokens)
                            .view({kDocuments, all});
    for (const auto& block : tokens.split(width, 1)) compare(block);
  }
  double worst() const { return worst_; }

 private:
  void compare(const at::Tensor& tokens) {
    const auto hidden = definition_.forward_block(tokens.to(definition_.device()), wanted_);
    const auto other = form_.forward_block(tokens, got_);
    add(hidden, other);
    for (std::size_t i = 0; i < wanted_.memories.size(); ++i) add(wanted_.memories[i], got_.memories.at(i));
    for (std::size_t i = 0; i < wanted_.states.size(); ++i) add(wanted_.states[i], got_.states.at(i));
    compare_scores(tokens, hidden, other);
  }

  /// Scores the same tokens as were read; any would do.
  void compare_scores(const at::Tensor& tokens, const at::Tensor& hidden, const at::Tensor& other) {
    const auto ids = tokens.to(at::kInt).contiguous();
    const auto length = static_cast<std::size_t>(tokens.size(1));
    std::vector<float> logprobs, entropy;
    std::vector<Scored> blocks;
    for (std::int64_t i = 0; i < kDocuments; ++i)
      blocks.push_back(
          {{ids.const_data_ptr<std::int32_t>() + i * tokens.size(1), length}, &logprobs, &entropy});
    form_.score(other, std::move(blocks))();
    for (std::int64_t i = 0; i < kDocuments; ++i) {
      const auto all = at::log_softmax(definition_.to_logits(hidden[i]).to(at::kFloat), -1);
      const auto targets = tokens[i].to(all.device()).unsqueeze(1);
      add(all.gather(1, targets).squeeze(1), scores(logprobs, i, tokens.size(1)));
      // Entropies vary little from position to position, so they are compared separately.
      const auto wanted = -(all.exp() * all).sum(-1);
      add(at::cat(std::vector{wanted, at::zeros_like(wanted)}),
          at::cat(std::vector{scores(entropy, i, tokens.size(1)), at::zeros_like(wanted)}));
    }
  }

  at::Tensor scores(std::vector<float>& values, std::int64_t document, std::int64_t length) const {
    return at::tensor(values).narrow(0, document * length, length).to(definition_.device());
  }

  void add(const at::Tensor& wanted, const at::Tensor& got) {
    worst_ = std::max(worst_, difference(wanted, got));
  }

  const BlockRecurrentTransformer& definition_;
  Network& form_;
  Recurrence wanted_, got_;
  double worst_ = 0;
};

}  // namespace

std::string self_check(const BlockRecurrentTransformer& definition, Network& form, double tolerance) {
  try {
    Comparison comparison(definition, form);
    comparison.run();
    if (comparison.worst() <= tolerance) return "";
    return "its results differ from those of LibTorch's operators by " + std::to_string(comparison.worst()) +
           ", relative to their variation; " + std::to_string(tolerance) + " are allowed";
  } catch (const std::exception& error) {
    return std::string("it failed: ") + error.what();
  }
}

}  // namespace unroll
