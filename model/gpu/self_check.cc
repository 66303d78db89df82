#include "model/gpu/self_check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <utility>

#include <ATen/ATen.h>

#include "model/gpu/block_recordings.h"
#include "model/memory.h"

namespace unroll {
namespace {

constexpr int kSteadyBlocks = 2;           // with full memories: the first is recorded, the second replayed
constexpr std::int64_t kMostBlocks = 256;  // until memories are full
constexpr std::size_t kShown = 4;          // differences in a message

double difference(const at::Tensor& wanted, const at::Tensor& got) {
  if (wanted.sizes() != got.sizes()) return INFINITY;
  const auto error = (wanted - got).pow(2).mean().sqrt() / (wanted - wanted.mean()).pow(2).mean().sqrt();
  const auto value = error.item<double>();
  return std::isnan(value) ? INFINITY : value;
}

/// 0.0123
std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

/// Documents side by side.
class Comparison {
 public:
  Comparison(const BlockRecurrentTransformer& definition, Network& form, std::int64_t documents,
             std::vector<SelfCheck::Difference>& differences)
      : definition_(definition), form_(form), documents_(documents), differences_(differences) {}

  void run() {
    const auto width = definition_.config().block_width;
    while (!memories_full() && block_ < kMostBlocks) compare(width);
    for (int i = 0; i < kSteadyBlocks; ++i) compare(width);
    compare((width + 1) / 2);
  }

 private:
  bool memories_full() const {
    const auto positions = wanted_.memories.empty() ? 0 : wanted_.memories.front().size(2);
    return block_ > 0 && positions == memory_length(definition_.config());
  }

  void compare(std::int64_t length) {
    const auto tokens = at::arange(documents_ * length, at::kLong)
                            .add(block_ * documents_ * length)
                            .mul(7919)
                            .remainder(definition_.config().num_tokens)
                            .view({documents_, length});
    ++block_;
    const auto hidden = definition_.forward_block(tokens.to(definition_.device()), wanted_);
    const auto other = form_.forward_block(tokens, got_);
    for (std::size_t i = 0; i < wanted_.states.size(); ++i)
      add("state " + std::to_string(i + 1), wanted_.states[i], got_.states.at(i));
    for (std::size_t i = 0; i < wanted_.memories.size(); ++i)
      add("memory of layer " + std::to_string(i + 1), wanted_.memories[i], got_.memories.at(i));
    add("last layer", hidden, other);
    compare_scores(tokens, hidden, other);
  }

  /// Scores the same tokens as were read; any would do.
  void compare_scores(const at::Tensor& tokens, const at::Tensor& hidden, const at::Tensor& other) {
    const auto ids = tokens.to(at::kInt).contiguous();
    const auto length = static_cast<std::size_t>(tokens.size(1));
    std::vector<float> logprobs, entropy;
    std::vector<Scored> blocks;
    for (std::int64_t i = 0; i < documents_; ++i)
      blocks.push_back(
          {{ids.const_data_ptr<std::int32_t>() + i * tokens.size(1), length}, &logprobs, &entropy});
    form_.score(other, std::move(blocks))();
    std::vector<at::Tensor> wanted_logprobs, wanted_entropy;
    for (std::int64_t i = 0; i < documents_; ++i) {
      const auto all = at::log_softmax(definition_.to_logits(hidden[i]).to(at::kFloat), -1);
      wanted_logprobs.push_back(all.gather(1, tokens[i].to(all.device()).unsqueeze(1)).squeeze(1));
      wanted_entropy.push_back(-(all.exp() * all).sum(-1));
    }
    const auto here = [](const std::vector<at::Tensor>& parts) { return at::cat(parts).to(at::kCPU); };
    add("log-probabilities", here(wanted_logprobs), at::tensor(logprobs));
    // Entropies vary little from position to position, so they are compared with zero, too.
    const auto zeros = at::zeros({tokens.numel()});
    add("entropies", at::cat(std::vector{here(wanted_entropy), zeros}),
        at::cat(std::vector{at::tensor(entropy), zeros}));
  }

  void add(std::string tensor, const at::Tensor& wanted, const at::Tensor& got) {
    differences_.push_back({documents_, block_, std::move(tensor), difference(wanted, got)});
  }

  const BlockRecurrentTransformer& definition_;
  Network& form_;
  std::int64_t documents_, block_ = 0;
  std::vector<SelfCheck::Difference>& differences_;
  Recurrence wanted_, got_;
};

}  // namespace

double SelfCheck::worst() const {
  double worst = 0;
  for (const auto& each : differences) worst = std::max(worst, each.value);
  return worst;
}

std::string SelfCheck::problem(double tolerance) const {
  std::string shown;
  std::size_t wrong = 0;
  for (const auto& [documents, block, tensor, value] : differences) {
    if (value <= tolerance) continue;
    if (++wrong > kShown) continue;
    shown += "; documents " + std::to_string(documents) + ", block " + std::to_string(block) + ", " + tensor +
             ": " + short_number(value);
  }
  if (wrong > kShown) shown += "; ...";
  if (!error.empty()) return "it failed: " + error + shown;
  if (wrong == 0) return "";
  return "its results differ from those of LibTorch's operators by " + short_number(worst()) +
         ", relative to their variation, and " + short_number(tolerance) + " is allowed; of " +
         std::to_string(differences.size()) + " tensors, " + std::to_string(wrong) + " differ by more" +
         shown;
}

std::vector<std::int64_t> recorded_batches() {
  std::vector<std::int64_t> batches;
  for (std::int64_t batch = 1; batch <= BlockRecordings::kMostDocuments; batch *= 2) batches.push_back(batch);
  return batches;
}

SelfCheck self_check(const BlockRecurrentTransformer& definition, Network& form,
                     std::span<const std::int64_t> batches) {
  SelfCheck check;
  try {
    for (const auto batch : batches) Comparison(definition, form, batch, check.differences).run();
  } catch (const std::exception& error) {
    check.error = error.what();
  }
  return check;
}

}  // namespace unroll
