// PackedTransformer's part of attention around TileAttention: normalises and rotates queries and keys, and
// packs them for TileAttention.
#include <algorithm>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"
#include "model/cpu/packed_transformer.h"

namespace unroll {
namespace {

/// Rotates queries or keys by position, if there are tables, which end at the same position as the sequence
/// of `positions`.
class Rotation {
 public:
  Rotation(const std::optional<RotaryTables::Tables>& tables, std::int64_t positions, std::int64_t dim)
      : dim_(dim) {
    if (!tables) return;
    const auto first = (tables->cosine.size(0) - positions) * dim;
    cosine_ = const_data(tables->cosine) + first;
    sine_ = const_data(tables->sine) + first;
  }
  void turn(float* row, std::int64_t position, const RowKernels& kernels) const {
    if (cosine_) kernels.rotate(row, cosine_ + position * dim_, sine_ + position * dim_, dim_);
  }

 private:
  std::int64_t dim_;
  const float *cosine_ = nullptr, *sine_ = nullptr;
};

}  // namespace

void PackedTransformer::set_queries(const Attention& attention, Rows queries, Shape shape,
                                    const std::optional<Tables>& tables) {
  const auto dim = config_.dim_head, heads = config_.heads;
  queries_.resize(attention_arithmetic_, shape.batch * heads, shape.length, dim);
  const auto* scale = const_data(attention.q_scale);
  const Rotation rotation(tables, shape.length, dim);
  machine_.parallel(shape.rows(), heads * dim * kRowCost, [&](std::int64_t row, Buffer& room) {
    auto* query = room.resize<float>(dim);
    const auto position = row % shape.length;
    for (std::int64_t head = 0; head < heads; ++head) {
      std::copy_n(queries[row] + head * dim, dim, query);
      if (scale) machine_.kernels.unit_length(query, scale, dim);
      rotation.turn(query, position, machine_.kernels);
      queries_.set(row / shape.length * heads + head, position, query, machine_.kernels);
    }
  });
}

void PackedTransformer::open_keys(const Attention& attention, std::int64_t batch, std::int64_t positions) {
  keys_.resize(attention_arithmetic_, batch * attention.kv_heads, positions, config_.dim_head,
               machine_.kernels);
}

void PackedTransformer::set_keys(const Attention& attention, Rows keys, Rows values, Shape shape,
                                 std::int64_t at, const std::optional<Tables>& tables) {
  set_keys(attention, keys, values, shape.length * keys.stride, shape, at, tables);
}

void PackedTransformer::set_keys(const Attention& attention, Rows keys, Rows values,
                                 std::int64_t document_stride, Shape shape, std::int64_t at,
                                 const std::optional<Tables>& tables) {
  const auto dim = config_.dim_head, heads = attention.kv_heads;
  const auto* scale = const_data(attention.k_scale);
  const Rotation rotation(tables, keys_.positions(), dim);
  machine_.parallel(shape.rows(), heads * dim * kScatterCost, [&](std::int64_t row, Buffer& room) {
    auto* key = room.resize<float>(dim);
    const auto document = row / shape.length, place = row % shape.length, position = at + place;
    const auto* from = keys[place] + document * document_stride;
    const auto* value = values[place] + document * document_stride;
    for (std::int64_t head = 0; head < heads; ++head) {
      std::copy_n(from + head * dim, dim, key);
      if (scale) machine_.kernels.unit_length(key, scale, dim);
      rotation.turn(key, position, machine_.kernels);
      keys_.set(document * heads + head, position, key, value + head * dim, machine_.kernels);
    }
  });
}

void PackedTransformer::run_attention(const Attention& attention, Shape shape, std::int64_t past, Rows output,
                                      std::int64_t head_stride, DistanceBias bias) {
  TileAttention(queries_, keys_, shape.batch, attention.scale, past, bias)
      .run({output.data, shape.length * output.stride, output.stride, head_stride}, machine_);
}

void PackedTransformer::attend(const PackedLayer& layer, Rows entry, Shape shape, const at::Tensor& past) {
  const auto& attention = layer.layer.attn;
  const auto inner = config_.inner_dim(), kv = config_.kv_dim();
  const auto past_length = past.defined() ? past.size(2) : 0;
  set_queries(attention, entry, shape, query_tables_);
  open_keys(attention, shape.batch, past_length + shape.length);
  if (past_length > 0) {
    TORCH_CHECK(past.stride(3) == 1, "a memory's rows do not lie as attention takes them");
    set_keys(attention, {data(past[0]), past.stride(2)}, {data(past[1]), past.stride(2)}, past.stride(1),
             {shape.batch, past_length}, 0, key_tables_);
  }
  const Rows keys{entry.data + inner, entry.stride}, values{keys.data + kv, entry.stride};
  set_keys(attention, keys, values, shape, past_length, key_tables_);
  const auto width = joined_width(layer.layer);
  const auto bias = position_bias_.defined()
                        ? DistanceBias{const_data(position_bias_), position_bias_.size(1)}
                        : DistanceBias{};
  run_attention(attention, shape, past_length, {joined_.resize<float>(shape.rows() * width), width},
                config_.dim_head, bias);
}

void PackedTransformer::read(const PackedLayer& layer, Rows entry, Shape shape) {
  const auto inner = config_.inner_dim(), kv = config_.kv_dim();
  const auto reads = static_cast<std::int64_t>(layer.layer.reads_states.size());
  const Rows joined{joined_.data<float>(), joined_width(layer.layer)};
  for (std::int64_t i = 0; i < reads; ++i) {
    const auto state = layer.layer.reads_states[static_cast<std::size_t>(i)];
    auto& cell = this->cell(state);
    const auto& attention = cell.container.to_state_cross_attn;
    const Rows keys{states_[state].entry.data<float>(), cell.entry.padded_outputs()};
    set_queries(attention, {entry.data + inner + 2 * kv + i * inner, entry.stride}, shape, std::nullopt);
    open_keys(attention, shape.batch, config_.num_state_vectors);
    set_keys(attention, keys, {keys.data + kv, keys.stride}, {shape.batch, config_.num_state_vectors}, 0,
             std::nullopt);
    run_attention(attention, shape, TileAttention::kSeesAll, {joined.data + (1 + i) * inner, joined.stride},
                  config_.dim_head);
  }
}

}  // namespace unroll
