#include "model/cpu/packed_logits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <numbers>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"
#include "model/cpu/top_tokens.h"

namespace unroll {

PackedLogits::PackedLogits(const at::Tensor& weight, Arithmetic arithmetic)
    : weight_(std::array{weight}, arithmetic) {}

template <typename Seen>
void PackedLogits::each(const Activations& rows, Machine& machine, const Seen& seen) const {
  multiply(rows, weight_, machine, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns;
    const auto count = std::min(weight_.group_columns(group), weight_.outputs() - column);
    seen(row, column, std::span<const float>(values, static_cast<std::size_t>(count)));
  });
}

PackedLogits::Distribution PackedLogits::distribution(std::size_t row) const {
  const auto groups = static_cast<std::size_t>(weight_.groups());
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

void PackedLogits::score(const Activations& rows, std::span<const Scored> blocks, Machine& machine) {
  const auto groups = static_cast<std::size_t>(weight_.groups());
  const auto count = static_cast<std::size_t>(rows.rows()), length = count / blocks.size();
  std::vector<float> targets(count);  // their logits
  std::deque<TopTokens> tops;
  for (std::size_t row = 0; row < count; ++row)
    tops.emplace_back(static_cast<std::size_t>(blocks[row / length].top_k));
  sums_.assign(count * groups, {-std::numeric_limits<float>::infinity(), 0, 0});
  each(rows, machine, [&](std::int64_t i, std::int64_t column, std::span<const float> logits) {
    const auto row = static_cast<std::size_t>(i);
    const auto& block = blocks[row / length];
    const auto group = static_cast<std::size_t>(column / PackedMatrix::kGroupColumns);
    const auto add_up = block.entropy ? machine.kernels.softmax_sums_weighted : machine.kernels.softmax_sums;
    add_up(logits.data(), std::ssize(logits), &sums_[row * groups + group]);
    const auto target = static_cast<std::size_t>(block.targets[row % length] -
                                                 column);  // below it, wraps to a value that is out of range
    if (target < logits.size()) targets[row] = logits[target];
    tops[row].add(static_cast<std::int32_t>(column), logits);
  });
  std::vector<Distribution> found(count);
  machine.parallel(rows.rows(), weight_.groups() * kScatterCost, [&](std::int64_t row, Buffer&) {
    found[static_cast<std::size_t>(row)] = distribution(static_cast<std::size_t>(row));
  });
  for (std::size_t row = 0; row < count; ++row) {
    const auto& block = blocks[row / length];
    const auto logprob = [&](float logit) { return static_cast<float>(logit - found[row].log_sum); };
    block.logprobs->push_back(logprob(targets[row]));
    if (block.entropy) block.entropy->push_back(found[row].entropy);
    if (block.top_k == 0) continue;
    for (const auto& token : tops[row].sorted()) {
      block.top_ids->push_back(token.id);
      block.top_logprobs->push_back(logprob(token.logit));
    }
  }
}

at::Tensor PackedLogits::all(const Activations& rows, Machine& machine) const {
  auto result = at::empty({rows.rows(), weight_.outputs()}, at::kFloat);
  auto* out = data(result);
  each(rows, machine, [&](std::int64_t row, std::int64_t column, std::span<const float> logits) {
    std::ranges::copy(logits, out + row * weight_.outputs() + column);
  });
  return result;
}

}  // namespace unroll
