// What PackedTransformer does with the last layer's output: logits a tile at a time, and what is summed up of
// them.
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"
#include "model/cpu/packed_transformer.h"

namespace unroll {
template <typename Seen>
void PackedTransformer::each_logits(const at::Tensor& hidden, Seen&& seen) {
  const auto rows = hidden.contiguous();
  activate({data(rows), config_.dim}, rows.size(0), config_.dim, &logits_norm_);
  multiply(activations_, logits_, machine_, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns;
    const auto count = std::min(logits_.group_columns(group), config_.num_tokens - column);
    seen(row, column, std::span<const float>(values, static_cast<std::size_t>(count)));
  });
}

PackedTransformer::Distribution PackedTransformer::distribution(std::size_t row) const {
  const auto groups = static_cast<std::size_t>(logits_.groups());
  const std::span parts(&sums_[row * groups], groups);
  double max = -std::numeric_limits<double>::infinity(), sum = 0, weighted = 0;
  for (const auto& part : parts) max = std::max<double>(max, part.max);
  for (const auto& part : parts) {
    const auto factor = std::exp2(part.max - max);
    sum += part.sum * factor;
    weighted += part.weighted * factor;
  }
  const auto total = max * std::numbers::ln2 + std::log(sum);
  return {total, static_cast<float>(total - weighted / sum)};
}

std::function<void()> PackedTransformer::score(const at::Tensor& hidden, std::vector<Scored> blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i)
    score_block(hidden[static_cast<std::int64_t>(i)], blocks[i]);
  return [] {};
}

void PackedTransformer::score_block(const at::Tensor& hidden, const Scored& block) {
  const auto& targets = block.targets;
  auto& logprobs = *block.logprobs;
  auto* const entropy = block.entropy;
  const auto first = logprobs.size(), groups = static_cast<std::size_t>(logits_.groups());
  logprobs.resize(first + targets.size());
  sums_.assign(targets.size() * groups, {-std::numeric_limits<float>::infinity(), 0, 0});
  const auto add_up = entropy ? machine_.kernels.softmax_sums_weighted : machine_.kernels.softmax_sums;
  // A tile's logits are summed up where they come into being: there never are more.
  each_logits(hidden, [&](std::int64_t row, std::int64_t column, std::span<const float> logits) {
    const auto at = static_cast<std::size_t>(row);
    const auto group = static_cast<std::size_t>(column / PackedMatrix::kGroupColumns);
    add_up(logits.data(), std::ssize(logits), &sums_[at * groups + group]);
    const auto target = static_cast<std::size_t>(targets[at] - column);  // out of range where below
    if (target < logits.size()) logprobs[first + at] = logits[target];
  });
  const auto first_entropy = entropy ? entropy->size() : 0;
  if (entropy) entropy->resize(first_entropy + targets.size());
  const auto cost = logits_.groups() * kScatterCost;
  machine_.parallel(std::ssize(targets), cost, [&](std::int64_t row, Buffer&) {
    const auto i = static_cast<std::size_t>(row);
    const auto found = distribution(i);
    logprobs[first + i] = static_cast<float>(logprobs[first + i] - found.log_sum);
    if (entropy) (*entropy)[first_entropy + i] = found.entropy;
  });
}

at::Tensor PackedTransformer::logits(const at::Tensor& hidden) {
  auto result = at::empty({hidden.size(0), config_.num_tokens}, hidden.options());
  auto* out = data(result);
  each_logits(hidden, [&](std::int64_t row, std::int64_t column, std::span<const float> logits) {
    std::ranges::copy(logits, out + row * config_.num_tokens + column);
  });
  return result;
}

}  // namespace unroll
