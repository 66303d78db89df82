#include "training/fast/step_head.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace unroll {
namespace {

constexpr std::int64_t kTokens = 512;     // vocabulary entries whose logits are computed at a time
constexpr std::int64_t kTilesAtOnce = 8;  // tiles whose logit gradients are held at a time

}  // namespace

/// Targets and weights of a tile's positions.
template <typename Number>
struct StepHead<Number>::Columns {
  std::int64_t targets[kTileRows];  // -1: none
  float weight[kTileRows];          // zero without a target
};

template <typename Number>
StepHead<Number>::StepHead(const LayerNorm& norm, const at::Tensor& to_logits, const Gradients& gradients,
                           StepMachine<Number>& machine)
    : machine_(machine),
      dim_(to_logits.size(1)),
      tokens_(to_logits.size(0)),
      gamma_(gradients.vector(norm.gamma)),
      to_logits_(gradients.weight<Number>(to_logits)) {}

template <typename Number>
double StepHead<Number>::run(const float* x, const std::int64_t* targets, std::int64_t ignored, double weight,
                             BlockShape shape, float* d) {
  std::vector<double> losses(static_cast<std::size_t>(shape.tiles()));
  gamma_part_.resize(shape.tiles(), dim_);
  for (std::int64_t first = 0; first < shape.tiles(); first += kTilesAtOnce) {
    const auto tiles = std::min(kTilesAtOnce, shape.tiles() - first);
    d_logits_.resize(tokens_, tiles);
    normed_.resize(dim_, tiles);
    machine_.parallel(tiles, [&](std::int64_t i, Room& room) {
      const auto tile = first + i;
      Columns columns;
      for (std::int64_t at = 0; at < kTileRows; ++at) {
        const auto target = at < shape.count(tile)
                                ? targets[shape.lane(tile) * shape.width + shape.first(tile) + at]
                                : ignored;
        columns.targets[at] = target == ignored ? -1 : target;
        columns.weight[at] = target == ignored ? 0 : static_cast<float>(weight);
      }
      losses[static_cast<std::size_t>(tile)] = run_tile(x, columns, tile, i, room, d);
    });
    to_logits_.add_gradient(d_logits_.data(), normed_.data(), normed_.positions(), machine_);
  }
  gamma_part_.add_to(gamma_.gradient);
  double sum = 0;
  for (const auto loss : losses) sum += loss;
  return sum;
}

template <typename Number>
double StepHead<Number>::run_tile(const float* x, const Columns& columns, std::int64_t tile,
                                  std::int64_t place, Room& room, float* d) {
  const auto size = dim_ * kTileRows;
  auto* stats = room.take<float>(0, 4 * kTileRows);
  auto *max = stats + 2 * kTileRows, *sum = max + kTileRows;
  auto* normed = room.take<float>(1, size);
  machine_.loops.layer_norm(x + tile * size, gamma_.values, dim_, stats, normed);
  machine_.kernels.row_pairs(normed, dim_, normed_.panel_stride(), normed_.right(place));
  const auto* in = machine_.right_side(normed, dim_, room, 2);
  auto* logits = room.take<float>(3, tokens_ * kTileRows);
  std::fill_n(max, kTileRows, -std::numeric_limits<float>::infinity());
  std::fill_n(sum, kTileRows, 0.0F);
  for (std::int64_t first = 0; first < tokens_; first += kTokens) {
    const auto count = std::min(kTokens, tokens_ - first);
    to_logits_.forward(in, first, count, logits + first * kTileRows);
    machine_.loops.softmax_sums(logits + first * kTileRows, count, max, sum);
  }
  double loss = 0;
  for (std::int64_t i = 0; i < kTileRows; ++i) {
    max[i] += std::log2(sum[i]);
    if (columns.targets[i] >= 0)
      loss += max[i] * std::numbers::ln2 - logits[columns.targets[i] * kTileRows + i];
  }
  auto* pairs = room.take<Number>(4, kTokens * kTileRows);
  auto* d_normed = room.take<float>(5, size);
  for (std::int64_t first = 0; first < tokens_; first += kTokens) {
    const auto count = std::min(kTokens, tokens_ - first);
    std::int64_t targets[kTileRows];
    for (std::int64_t i = 0; i < kTileRows; ++i) targets[i] = columns.targets[i] - first;
    machine_.kernels.cross_entropy_back(logits + first * kTileRows, count, max, columns.weight, targets,
                                        d_logits_.positions(), d_logits_.left(place, first), pairs);
    to_logits_.backward(pairs, first, count, d_normed, first > 0);
  }
  auto* dx = d + tile * size;
  std::fill_n(dx, size, 0.0F);
  machine_.loops.layer_norm_back(x + tile * size, stats, gamma_.values, d_normed, dim_, dx,
                                 gamma_part_.part(tile), nullptr);
  return loss;
}

template class StepHead<float>;
template class StepHead<std::uint16_t>;

}  // namespace unroll
