#include "model/cpu/packed_logits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <numbers>
#include <numeric>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"
#include "model/cpu/top_tokens.h"

namespace unroll {

PackedLogits::PackedLogits(const at::Tensor& weight, Arithmetic arithmetic)
    : weight_(std::array{weight}, arithmetic) {}

namespace {

/// Adds the members of a tile that begins with token `column`.
void add_members(std::span<const float> logits, std::span<const std::uint8_t> members, std::int64_t column,
                 const Machine& machine, SoftmaxSums& sums) {
  constexpr float kNever = -1e6F;  // its exponential is 0 beside any logit's
  std::array<float, PackedMatrix::kGroupColumns> own;
  const auto here = members.subspan(std::min(static_cast<std::size_t>(column), members.size()));
  for (std::size_t i = 0; i < logits.size(); ++i)
    own[i] = i < here.size() && here[i] != 0 ? logits[i] : kNever;
  machine.kernels.softmax_sums(own.data(), std::ssize(logits), &sums);
}

}  // namespace

template <typename Seen>
void PackedLogits::each(const Activations& rows, Machine& machine, const Seen& seen) const {
  multiply(rows, weight_, machine, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns;
    const auto count = std::min(weight_.group_columns(group), weight_.outputs() - column);
    seen(row, column, std::span<const float>(values, static_cast<std::size_t>(count)));
  });
}

PackedLogits::Distribution PackedLogits::distribution(std::span<const SoftmaxSums> sums,
                                                      std::size_t row) const {
  const auto groups = static_cast<std::size_t>(weight_.groups());
  const auto parts = sums.subspan(row * groups, groups);
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
  constexpr SoftmaxSums kNothing{-std::numeric_limits<float>::infinity(), 0, 0};
  sums_.assign(count * groups, kNothing);
  const bool any_mass = std::ranges::any_of(blocks, [](const auto& block) { return block.mass != nullptr; });
  member_sums_.assign(any_mass ? count * groups : 0, kNothing);
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
    if (block.mass) add_members(logits, block.members, column, machine, member_sums_[row * groups + group]);
  });
  std::vector<Distribution> found(count);
  std::vector<double> member_log_sums(any_mass ? count : 0);
  machine.parallel(rows.rows(), weight_.groups() * kScatterCost, [&](std::int64_t i, Buffer&) {
    const auto row = static_cast<std::size_t>(i);
    found[row] = distribution(sums_, row);
    if (any_mass) member_log_sums[row] = distribution(member_sums_, row).log_sum;
  });
  for (std::size_t row = 0; row < count; ++row) {
    const auto& block = blocks[row / length];
    const auto logprob = [&](float logit) { return static_cast<float>(logit - found[row].log_sum); };
    block.logprobs->push_back(logprob(targets[row]));
    if (block.entropy) block.entropy->push_back(found[row].entropy);
    if (block.mass)
      block.mass->push_back(
          std::clamp(static_cast<float>(member_log_sums[row] - found[row].log_sum), kNoMass, 0.0F));
    if (block.top_k == 0) continue;
    for (const auto& token : tops[row].sorted()) {
      block.top_ids->push_back(token.id);
      block.top_logprobs->push_back(logprob(token.logit));
    }
  }
  if (std::ranges::any_of(blocks, [](const auto& block) { return block.ranks != nullptr; }))
    append_ranks(rows, blocks, targets, machine);
}

/// A target's logit is known only after all of its row: the product is computed once more, with equal bits.
void PackedLogits::append_ranks(const Activations& rows, std::span<const Scored> blocks,
                                std::span<const float> targets, Machine& machine) const {
  const auto groups = static_cast<std::size_t>(weight_.groups()), length = targets.size() / blocks.size();
  std::vector<std::int32_t> before(targets.size() * groups);
  each(rows, machine, [&](std::int64_t i, std::int64_t column, std::span<const float> logits) {
    const auto row = static_cast<std::size_t>(i);
    if (!blocks[row / length].ranks) return;
    const auto target = targets[row];
    const auto place = blocks[row / length].targets[row % length] - column;
    std::int32_t count = 0;
    for (std::int64_t id = 0; id < std::ssize(logits); ++id) {
      const auto logit = logits[static_cast<std::size_t>(id)];
      count += static_cast<std::int32_t>(logit > target) |
               static_cast<std::int32_t>(logit == target && id < place);
    }
    before[row * groups + static_cast<std::size_t>(column / PackedMatrix::kGroupColumns)] = count;
  });
  for (std::size_t row = 0; row < targets.size(); ++row) {
    if (auto* ranks = blocks[row / length].ranks)
      ranks->push_back(std::accumulate(&before[row * groups], &before[row * groups] + groups, 1));
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
