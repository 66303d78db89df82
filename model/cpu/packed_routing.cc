#include "model/cpu/packed_routing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

namespace unroll {
namespace {

constexpr std::int64_t kRowCost = 16;  // multiply-adds that a row loop over as many numbers takes the time of
constexpr std::int64_t kLooked = 64;   // scores of which the largest is looked at first
constexpr float kNone = -std::numeric_limits<float>::infinity();

/// One position's key or value, of whatever it is stored as.
void unpack(const RoutedBlock& block, std::int64_t row, std::int64_t dim, float* out) {
  if (block.scales.defined()) {
    const auto* values = block.kv.const_data_ptr<std::int8_t>() + row * dim;
    const auto scale = block.scales.const_data_ptr<float>()[row];
    for (std::int64_t i = 0; i < dim; ++i) out[i] = scale * static_cast<float>(values[i]);
  } else {
    const auto* values = block.kv.const_data_ptr<at::BFloat16>() + row * dim;
    for (std::int64_t i = 0; i < dim; ++i) out[i] = static_cast<float>(values[i]);
  }
}

}  // namespace

void PackedRouting::search(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
                           std::int64_t count, Rows route_queries, Machine& machine) {
  std::vector<at::Tensor> parts;
  for (const auto& block : memory) parts.push_back(block->routes[index]);
  const PackedMatrix routes(parts, Arithmetic::kFp32);
  const auto width = parts.front().size(1);
  activations_.resize(Arithmetic::kFp32, count, width);
  machine.parallel(count, width * kRowCost, [&](std::int64_t row, Buffer&) {
    activations_.set(row, route_queries[row], machine.kernels);
  });
  top_ = std::min(routed.top, routes.outputs());
  chosen_.assign(static_cast<std::size_t>(count * top_), {kNone, 0});
  const auto groups = routes.groups();
  // Of a tile of rows all groups one after the other: what a row has found already, little surpasses.
  machine.parallel(round_up(count, kTile) / kTile, groups * routes.group_cost(),
                   [&](std::int64_t tile, Buffer& room) {
                     auto* scores = room.resize<float>(kTile * PackedMatrix::kGroupColumns);
                     for (std::int64_t group = 0; group < groups; ++group) {
                       routes.product(activations_, tile, 1, group, machine.kernels, scores);
                       const auto first = group * PackedMatrix::kGroupColumns;
                       const auto columns = std::min(PackedMatrix::kGroupColumns, routes.outputs() - first);
                       for (auto row = tile * kTile; row < std::min(count, (tile + 1) * kTile); ++row)
                         choose(scores + row % kTile * PackedMatrix::kGroupColumns, first, columns,
                                machine.kernels, &chosen_[static_cast<std::size_t>(row * top_)]);
                     }
                   });
}

/// Takes in what of a row's next scores belongs among its best so far, best first; of equals the older.
void PackedRouting::choose(const float* scores, std::int64_t first, std::int64_t count,
                           const RowKernels& kernels, Candidate* best) const {
  auto& least = best[top_ - 1];
  for (std::int64_t begin = 0; begin < count; begin += kLooked) {
    const auto end = std::min(count, begin + kLooked);
    if (kernels.largest(scores + begin, end - begin) <= least.score) continue;
    for (auto i = begin; i < end; ++i) {
      if (scores[i] <= least.score) continue;
      auto place = top_ - 1;
      for (; place > 0 && best[place - 1].score < scores[i]; --place) best[place] = best[place - 1];
      best[place] = {scores[i], static_cast<std::int32_t>(first + i)};
    }
  }
}

void PackedRouting::attend(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
                           const float* queries, const Candidate* candidates, float* out,
                           const RowKernels& kernels, Buffer& room) const {
  const auto& first = memory.front()->kv;
  const auto batch = first.size(1), width = first.size(2), kv_dim = first.size(3);
  const auto heads = routed.heads, dim = routed.to_q.size(0) / heads, kv_heads = kv_dim / dim;
  const auto in_block = width / routed.segment, positions = top_ * routed.segment;
  auto* keys = room.resize<float>(positions * 2 * kv_dim + heads * dim + positions);
  auto* values = keys + positions * kv_dim;
  auto* query = values + positions * kv_dim;
  auto* weights = query + dim;
  for (std::int64_t i = 0; i < positions; ++i) {
    const auto place = candidates[i / routed.segment].place;
    const auto& block = *memory[static_cast<std::size_t>(place / in_block)];
    const auto row = index * width + place % in_block * routed.segment + i % routed.segment;
    unpack(block, row, kv_dim, keys + i * kv_dim);
    unpack(block, batch * width + row, kv_dim, values + i * kv_dim);
    if (!routed.attention.k_scale) continue;
    for (std::int64_t head = 0; head < kv_heads; ++head)
      kernels.unit_length(keys + i * kv_dim + head * dim, routed.attention.k_scale->const_data_ptr<float>(),
                          dim);
  }
  for (std::int64_t head = 0; head < heads; ++head) {
    const auto shared = kv_heads == 1 ? 0 : head * dim;
    std::copy_n(queries + head * dim, dim, query);
    if (routed.attention.q_scale)
      kernels.unit_length(query, routed.attention.q_scale->const_data_ptr<float>(), dim);
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
