#include "training/fast/step_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

namespace unroll {
namespace {

constexpr std::int64_t kChunk = 256;  // keys whose scores are held at a time
constexpr std::int64_t kSeesAll = std::numeric_limits<std::int32_t>::min();

std::int64_t tiles_of(std::int64_t positions) {
  return round_up(positions, kTileRows) / kTileRows;
}

float power_factor(const AttentionCall& call) {
  return call.scale * std::numbers::log2e_v<float>;
}

/// The softmax kernels' parameter for keys from `begin` on.
std::int64_t diagonal_of(const AttentionCall& call, std::int64_t tile, std::int64_t begin) {
  return call.causal ? begin - call.past - tile * kTileRows : kSeesAll;
}

std::int64_t first_key(const AttentionCall& call, std::int64_t lane) {
  return call.first_visible.empty() ? 0 : call.first_visible[static_cast<std::size_t>(lane)];
}

}  // namespace

template <typename Number>
template <typename Work>
void StepAttention<Number>::each_key_tile(const AttentionCall& call, const Work& work) {
  const auto first_tiles = tiles_of(call.segments[0].positions);
  const auto tiles = first_tiles + tiles_of(call.segments[1].positions);
  machine_.parallel(call.lanes * call.kv_heads * tiles, [&](std::int64_t i, Room& room) {
    const auto tile = i % tiles;
    const bool in_first = tile < first_tiles;
    const auto& segment = call.segments[in_first ? 0 : 1];
    const auto first = (in_first ? tile : tile - first_tiles) * kTileRows;
    work(i,
         KeyTile{i / tiles / call.kv_heads, i / tiles % call.kv_heads, &segment, first,
                 std::min(kTileRows, segment.positions - first),
                 first + (in_first ? 0 : call.segments[0].positions)},
         room);
  });
}

/// `raw`: the tile's unnormalised keys, [dim_head, 64].
template <typename Number>
void StepAttention<Number>::ready_key_tile(const AttentionCall& call, const KeyTile& tile, float* raw,
                                           float* out) {
  const auto kv = call.kv_heads * call.dim_head;
  const auto at = (tile.lane * tile.segment->positions + tile.first) * kv + tile.head * call.dim_head;
  machine_.kernels.tile(tile.segment->k + at, call.dim_head, tile.count, kv, raw);
  const auto& rotation = call.rotation;
  machine_.loops.ready(
      raw, call.k_scale.values, rotation.k_cosine ? rotation.k_cosine + tile.position : nullptr,
      rotation.k_sine ? rotation.k_sine + tile.position : nullptr, rotation.stride, call.dim_head, out);
}

template <typename Number>
void StepAttention<Number>::set_keys(const AttentionCall& call, bool backward) {
  const auto dim = call.dim_head, deep = depth_of<Number>(dim), kv = call.kv_heads * dim;
  const auto heads = call.lanes * call.kv_heads;
  key_stride_ = round_up(call.keys(), kTileRows);
  auto* k_rows = k_rows_.resize<Number>(heads * key_stride_ * deep);
  auto* v_turned = v_turned_.resize<Number>(heads * key_stride_ * dim);
  auto* v_rows = backward ? v_rows_.resize<Number>(heads * key_stride_ * deep) : nullptr;
  auto* k_turned = backward ? k_turned_.resize<Number>(heads * key_stride_ * dim) : nullptr;
  each_key_tile(call, [&](std::int64_t, const KeyTile& tile, Room& room) {
    auto* raw = room.take<float>(0, dim * kTileRows);
    auto* ready = room.take<float>(1, dim * kTileRows);
    auto* turned = room.take<Number>(2, dim * kTileRows);
    const auto rows = rows_at(call, tile.lane, tile.head) + tile.position * deep;
    const auto columns = turned_at(call, tile.lane, tile.head) + tile.position;
    const auto set_columns = [&](const float* x, Number* out) {
      machine_.kernels.plain(x, dim, kTileRows, turned);
      for (std::int64_t f = 0; f < dim; ++f)
        std::copy_n(turned + f * kTileRows, tile.count, out + f * key_stride_);
    };
    ready_key_tile(call, tile, raw, ready);
    machine_.kernels.rows(ready, dim, tile.count, deep, k_rows + rows);
    if (backward) set_columns(ready, k_turned + columns);
    const auto at = (tile.lane * tile.segment->positions + tile.first) * kv + tile.head * dim;
    machine_.kernels.tile(tile.segment->v + at, dim, tile.count, kv, raw);
    set_columns(raw, v_turned + columns);
    if (backward) machine_.kernels.rows(raw, dim, tile.count, deep, v_rows + rows);
  });
}

template <typename Number>
void StepAttention<Number>::ready_queries(const AttentionCall& call, const Item& item, float* out) const {
  const auto& rotation = call.rotation;
  const auto position = item.tile * kTileRows;
  machine_.loops.ready(call.q + (item.lane * call.query_tiles + item.tile) * call.q_stride +
                           item.head * call.dim_head * kTileRows,
                       call.q_scale.values, rotation.q_cosine ? rotation.q_cosine + position : nullptr,
                       rotation.q_sine ? rotation.q_sine + position : nullptr, rotation.stride, call.dim_head,
                       out);
}

template <typename Number>
std::int64_t StepAttention<Number>::visible_end(const AttentionCall& call, std::int64_t tile) const {
  return call.causal ? std::min(call.keys(), call.past + (tile + 1) * kTileRows) : call.keys();
}

template <typename Number>
void StepAttention<Number>::forward(const AttentionCall& call) {
  set_keys(call, false);
  const auto tiles = call.query_tiles;
  machine_.parallel(call.lanes * call.heads * tiles, [&](std::int64_t i, Room& room) {
    forward_tile(call, {i / (call.heads * tiles), i / tiles % call.heads, i % tiles}, room);
  });
}

template <typename Number>
void StepAttention<Number>::forward_tile(const AttentionCall& call, const Item& item, Room& room) {
  const auto dim = call.dim_head, deep = depth_of<Number>(dim);
  auto* ready = room.take<float>(0, dim * kTileRows);
  ready_queries(call, item, ready);
  const auto* q = machine_.right_side(ready, dim, room, 1);
  auto* scores = room.take<float>(2, kChunk * kTileRows);
  auto* powers = room.take<Number>(3, kChunk * kTileRows);
  auto* max = room.take<float>(4, 3 * kTileRows);
  auto *sum = max + kTileRows, *correction = sum + kTileRows;
  std::fill_n(max, kTileRows, -std::numeric_limits<float>::infinity());
  std::fill_n(sum, kTileRows, 0.0F);
  const auto tile = item.lane * call.query_tiles + item.tile;
  auto* out = call.out + tile * call.out_stride + item.head * call.out_head * kTileRows;
  const auto shared = item.head / (call.heads / call.kv_heads);
  const auto* k = k_rows_.template data<Number>() + rows_at(call, item.lane, shared);
  const auto* v = v_turned_.template data<Number>() + turned_at(call, item.lane, shared);
  const auto first = first_key(call, item.lane), end = visible_end(call, item.tile);
  for (auto begin = first; begin < end; begin += kChunk) {
    const auto keys = std::min(kChunk, end - begin);
    multiply_tile(keys, kTileRows, deep, k + begin * deep, deep, q, scores, kTileRows, false);
    machine_.kernels.softmax(scores, keys, power_factor(call), diagonal_of(call, item.tile, begin), max, sum,
                             correction, powers);
    if (begin > first) machine_.loops.scale_columns(out, correction, dim);
    multiply_tile(dim, kTileRows, depth_of<Number>(keys), v + begin, key_stride_, powers, out, kTileRows,
                  begin > first);
  }
  auto* lse = call.lse + (tile * call.heads + item.head) * kTileRows;
  for (std::int64_t i = 0; i < kTileRows; ++i) {
    correction[i] = 1 / sum[i];
    lse[i] = max[i] + std::log2(sum[i]);
  }
  machine_.loops.scale_columns(out, correction, dim);
}

template <typename Number>
void StepAttention<Number>::backward(const AttentionCall& call) {
  set_keys(call, true);
  const auto dim = call.dim_head, units = call.lanes * call.heads;
  const auto each = key_stride_ * dim;
  dk_.resize<float>(units * each);
  dv_.resize<float>(units * each);
  dq_scale_.resize(units, dim);
  machine_.parallel(units, [&](std::int64_t unit, Room& room) {
    for (auto* sums : {&dk_, &dv_})
      std::memset(sums->template data<float>() + unit * each, 0,
                  static_cast<std::size_t>(each) * sizeof(float));
    for (std::int64_t tile = 0; tile < call.query_tiles; ++tile)
      backward_tile(call, {unit / call.heads, unit % call.heads, tile}, room);
  });
  if (call.q_scale.values) dq_scale_.add_to(call.q_scale.gradient);
  add_key_gradients(call);
}

template <typename Number>
void StepAttention<Number>::backward_tile(const AttentionCall& call, const Item& item, Room& room) {
  const auto dim = call.dim_head, deep = depth_of<Number>(dim);
  const auto panel = kTileRows * kTileRows, panels = tiles_of(dim);
  const auto tile = item.lane * call.query_tiles + item.tile;
  const auto head = tile * call.out_stride + item.head * call.out_head * kTileRows;
  const auto* d_out = call.d_out + head;
  auto* ready = room.take<float>(0, dim * kTileRows);
  ready_queries(call, item, ready);
  const auto* q = machine_.right_side(ready, dim, room, 1);
  const auto* d = machine_.right_side(d_out, dim, room, 2);
  auto* q_rows = room.take<Number>(3, 2 * panels * panel);
  auto* d_rows = q_rows + panels * panel;
  machine_.kernels.row_pairs(ready, dim, panel, q_rows);
  machine_.kernels.row_pairs(d_out, dim, panel, d_rows);
  auto* delta = room.take<float>(4, kTileRows);
  machine_.loops.dot_columns(call.out + head, d_out, dim, delta);
  auto* scores = room.take<float>(5, 2 * kChunk * kTileRows);
  auto* dp = scores + kChunk * kTileRows;
  auto* p = room.take<Number>(6, 3 * kChunk * kTileRows);
  auto *ds = p + kChunk * kTileRows, *ds_pairs = ds + kChunk * kTileRows;
  auto* dq = room.take<float>(7, dim * kTileRows);

  const auto shared = item.head / (call.heads / call.kv_heads);
  const auto rows = rows_at(call, item.lane, shared);
  const auto* k = k_rows_.template data<Number>() + rows;
  const auto* v = v_rows_.template data<Number>() + rows;
  const auto* k_turned = k_turned_.template data<Number>() + turned_at(call, item.lane, shared);
  const auto unit = item.lane * call.heads + item.head;
  auto* dk = dk_.data<float>() + unit * key_stride_ * dim;
  auto* dv = dv_.data<float>() + unit * key_stride_ * dim;
  const auto* lse = call.lse + (tile * call.heads + item.head) * kTileRows;
  const auto first = first_key(call, item.lane), end = visible_end(call, item.tile);
  for (auto begin = first; begin < end; begin += kChunk) {
    const auto keys = std::min(kChunk, end - begin);
    multiply_tile(keys, kTileRows, deep, k + begin * deep, deep, q, scores, kTileRows, false);
    multiply_tile(keys, kTileRows, deep, v + begin * deep, deep, d, dp, kTileRows, false);
    machine_.kernels.softmax_back(scores, dp, keys, power_factor(call), call.scale,
                                  diagonal_of(call, item.tile, begin), lse, delta, p, ds, ds_pairs);
    for (std::int64_t i = 0; i < panels; ++i) {
      const auto columns = std::min(kTileRows, dim - i * kTileRows);
      const auto at = begin * dim + i * kTileRows;
      multiply_tile(keys, columns, kTileRows, p, kTileRows, d_rows + i * panel, dv + at, dim, true);
      multiply_tile(keys, columns, kTileRows, ds, kTileRows, q_rows + i * panel, dk + at, dim, true);
    }
    multiply_tile(dim, kTileRows, depth_of<Number>(keys), k_turned + begin, key_stride_, ds_pairs, dq,
                  kTileRows, begin > first);
  }
  const auto& rotation = call.rotation;
  const auto position = item.tile * kTileRows, at = tile * call.q_stride + item.head * dim * kTileRows;
  machine_.loops.ready_back(call.q + at, call.q_scale.values,
                            rotation.q_cosine ? rotation.q_cosine + position : nullptr,
                            rotation.q_sine ? rotation.q_sine + position : nullptr, rotation.stride, dim, dq,
                            call.dq + at, dq_scale_.part(unit));
}

template <typename Number>
void StepAttention<Number>::add_key_gradients(const AttentionCall& call) {
  const auto dim = call.dim_head, kv = call.kv_heads * dim, group = call.heads / call.kv_heads;
  const auto tiles = tiles_of(call.segments[0].positions) + tiles_of(call.segments[1].positions);
  dk_scale_.resize(call.lanes * call.kv_heads * tiles, dim);
  each_key_tile(call, [&](std::int64_t i, const KeyTile& tile, Room& room) {
    const auto* segment = tile.segment;
    auto* sum = room.take<float>(0, kTileRows * dim);
    const auto sum_heads = [&](const Buffer& parts) {
      const auto unit = tile.lane * call.heads + tile.head * group;
      const auto* from = parts.data<float>() + (unit * key_stride_ + tile.position) * dim;
      std::copy_n(from, tile.count * dim, sum);
      for (std::int64_t head = 1; head < group; ++head)
        machine_.loops.add(sum, from + head * key_stride_ * dim, tile.count * dim);
    };
    const auto target = (tile.lane * segment->positions + tile.first) * kv + tile.head * dim;
    const auto add_rows = [&](const float* rows, float* to) {
      for (std::int64_t row = 0; row < tile.count; ++row)
        machine_.loops.add(to + target + row * kv, rows + row * dim, dim);
    };
    if (segment->dv) {
      sum_heads(dv_);
      add_rows(sum, segment->dv);
    }
    if (!segment->dk && !call.k_scale.values) return;
    sum_heads(dk_);
    auto* raw = room.take<float>(1, dim * kTileRows);
    auto* d = room.take<float>(2, dim * kTileRows);
    auto* dx = room.take<float>(3, dim * kTileRows);
    machine_.kernels.tile(segment->k + target, dim, tile.count, kv, raw);
    machine_.kernels.tile(sum, dim, tile.count, dim, d);
    const auto& rotation = call.rotation;
    machine_.loops.ready_back(raw, call.k_scale.values,
                              rotation.k_cosine ? rotation.k_cosine + tile.position : nullptr,
                              rotation.k_sine ? rotation.k_sine + tile.position : nullptr, rotation.stride,
                              dim, d, dx, dk_scale_.part(i));
    if (!segment->dk) return;
    // Back to one row per position, in fp32 for any type of products.
    tile_kernels<float>().rows(dx, dim, tile.count, dim, sum);
    add_rows(sum, segment->dk);
  });
  if (call.k_scale.values) dk_scale_.add_to(call.k_scale.gradient);
}

template class StepAttention<float>;
template class StepAttention<std::uint16_t>;

}  // namespace unroll
