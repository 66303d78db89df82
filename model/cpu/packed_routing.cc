#include "model/cpu/packed_routing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"

namespace unroll {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

/// Converts one position's key or value from its stored type.
void unpack(const RoutedBlock& block, std::int64_t row, std::int64_t dim, float* out) {
  if (block.scales.defined()) {
    const auto* values = block.kv.const_data_ptr<std::int8_t>() + row * dim;
    const auto scale = const_data(block.scales)[row];
    for (std::int64_t i = 0; i < dim; ++i) out[i] = scale * static_cast<float>(values[i]);
  } else {
    const auto* values = block.kv.const_data_ptr<at::BFloat16>() + row * dim;
    for (std::int64_t i = 0; i < dim; ++i) out[i] = static_cast<float>(values[i]);
  }
}

}  // namespace

/// Segments are the rows and positions the columns of the scores, so that the larger of the two is not
/// rearranged.
void PackedRouting::search(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
                           std::int64_t count, Rows route_queries, Machine& machine) {
  const auto in_block = memory.front()->routes.size(1), width = memory.front()->routes.size(2);
  const auto segments = in_block * std::ssize(memory);
  activations_.resize(Arithmetic::kFp32, segments, width);
  machine.parallel(std::ssize(memory), in_block * width * kRowCost, [&](std::int64_t block, Buffer& room) {
    const auto* routes = memory[static_cast<std::size_t>(block)]->routes.const_data_ptr<at::BFloat16>() +
                         index * in_block * width;
    auto* row = room.resize<float>(width);
    for (std::int64_t i = 0; i < in_block; ++i) {
      for (std::int64_t j = 0; j < width; ++j) row[j] = static_cast<float>(routes[i * width + j]);
      activations_.set(block * in_block + i, row, machine.kernels);
    }
  });
  auto rows = at::empty({count, width}, at::kFloat);
  auto* row = data(rows);
  for (std::int64_t i = 0; i < count; ++i) row = std::copy_n(route_queries[i], width, row);
  const PackedMatrix queries(std::array{rows}, Arithmetic::kFp32);
  top_ = std::min(routed.top, segments);
  chosen_.assign(static_cast<std::size_t>(count * top_), {kNone, 0});
  const auto tiles = round_up(segments, kTile) / kTile;
  machine.parallel(queries.groups(), tiles * queries.group_cost(), [&](std::int64_t group, Buffer& room) {
    auto* scores = room.resize<float>((kTile + 1) * PackedMatrix::kGroupColumns);
    auto* least =
        scores + kTile * PackedMatrix::kGroupColumns;  // threshold for each position's next candidate
    const auto first = group * PackedMatrix::kGroupColumns;
    const auto columns = std::min(PackedMatrix::kGroupColumns, count - first);
    std::fill_n(least, columns, kNone);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      queries.product(activations_, tile, 1, group, machine.kernels, scores);
      for (auto segment = tile * kTile; segment < std::min(segments, (tile + 1) * kTile); ++segment)
        choose(scores + segment % kTile * PackedMatrix::kGroupColumns, segment, columns, machine.kernels,
               &chosen_[static_cast<std::size_t>(first * top_)], least);
    }
  });
}

/// Inserts a segment into a position's best so far, best first; of equals, the older comes first.
void PackedRouting::choose(const float* scores, std::int64_t segment, std::int64_t columns,
                           const RowKernels& kernels, Candidate* best, float* least) const {
  if (!kernels.any_above(scores, least, columns)) return;
  for (std::int64_t i = 0; i < columns; ++i) {
    if (scores[i] <= least[i]) continue;
    auto* mine = best + i * top_;
    auto place = top_ - 1;
    for (; place > 0 && mine[place - 1].score < scores[i]; --place) mine[place] = mine[place - 1];
    mine[place] = {scores[i], static_cast<std::int32_t>(segment)};
    least[i] = mine[top_ - 1].score;
  }
}

void PackedRouting::attend(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
                           const float* queries, const Candidate* candidates, float* out,
                           const RowKernels& kernels, Buffer& room) const {
  const auto& first = memory.front()->kv;
  const auto batch = first.size(1), width = first.size(2), kv_dim = first.size(3);
  const auto heads = routed.heads, dim = routed.to_q.size(0) / heads, kv_heads = kv_dim / dim;
  const auto in_block = width / routed.segment, positions = top_ * routed.segment;
  auto* keys = room.resize<float>(positions * 2 * kv_dim + dim + positions);
  auto* values = keys + positions * kv_dim;
  auto* query = values + positions * kv_dim;
  auto* weights = query + dim;
  const auto *k_scale = const_data(routed.attention.k_scale), *q_scale = const_data(routed.attention.q_scale);
  for (std::int64_t i = 0; i < positions; ++i) {
    const auto place = candidates[i / routed.segment].place;
    const auto& block = *memory[static_cast<std::size_t>(place / in_block)];
    const auto row = index * width + place % in_block * routed.segment + i % routed.segment;
    unpack(block, row, kv_dim, keys + i * kv_dim);
    unpack(block, batch * width + row, kv_dim, values + i * kv_dim);
    if (!k_scale) continue;
    for (std::int64_t head = 0; head < kv_heads; ++head)
      kernels.unit_length(keys + i * kv_dim + head * dim, k_scale, dim);
  }
  for (std::int64_t head = 0; head < heads; ++head) {
    const auto shared = kv_heads == 1 ? 0 : head * dim;
    std::copy_n(queries + head * dim, dim, query);
    if (q_scale) kernels.unit_length(query, q_scale, dim);
    float most = kNone, sum = 0;
    for (std::int64_t i = 0; i < positions; ++i) {
      weights[i] =
          static_cast<float>(routed.attention.scale) * kernels.dot(query, keys + i * kv_dim + shared, dim);
      most = std::max(most, weights[i]);
    }
    for (std::int64_t i = 0; i < positions; ++i) sum += weights[i] = std::exp(weights[i] - most);
    auto* result = out + head * dim;
    std::fill_n(result, dim, 0.0F);
    for (std::int64_t i = 0; i < positions; ++i)
      kernels.add_scaled(result, values + i * kv_dim + shared, weights[i] / sum, dim);
  }
}

void PackedRouting::read(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
                         std::int64_t count, Rows queries, Rows route_queries, Rows out, Machine& machine) {
  search(routed, memory, index, count, route_queries, machine);
  machine.parallel(count, top_ * routed.segment * routed.to_q.size(0) * 2,
                   [&](std::int64_t row, Buffer& room) {
                     attend(routed, memory, index, queries[row],
                            &chosen_[static_cast<std::size_t>(row * top_)], out[row], machine.kernels, room);
                   });
}

}  // namespace unroll
