// PackedTransformer's part of attention around TileAttention: normalises and rotates queries and keys, and
// packs them for TileAttention.
#include <algorithm>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"
#include "model/cpu/packed_transformer.h"

namespace unroll {
namespace {

/// Rotates queries or keys by position, if there are tables, of which the sequence of `positions` uses those
/// before the last `behind`.
class Rotation {
 public:
  Rotation(const std::optional<RotaryTables::Tables>& tables, std::int64_t positions, std::int64_t behind,
           std::int64_t dim)
      : dim_(dim) {
    if (!tables) return;
    const auto first = (tables->cosine.size(0) - behind - positions) * dim;
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
                                    const std::optional<Tables>& tables, std::int64_t behind) {
  const auto dim = config_.dim_head, heads = config_.heads;
  queries_.resize(attention_arithmetic_, shape.batch * heads, shape.length, dim);
  const auto* scale = const_data(attention.q_scale);
  const Rotation rotation(tables, shape.length, behind, dim);
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

void PackedTransformer::set_keys(const Attention& attention, Rows keys, Rows values, Shape shape) {
  set_keys(attention, keys, values, shape.length * keys.stride, shape, 0, std::nullopt, 0);
}

void PackedTransformer::set_keys(const Attention& attention, const at::Tensor& memory, std::int64_t at,
                                 const std::optional<Tables>& tables, std::int64_t behind) {
  TORCH_CHECK(memory.stride(3) == 1, "a memory's rows do not lie as attention takes them");
  set_keys(attention, {data(memory[0]), memory.stride(2)}, {data(memory[1]), memory.stride(2)},
           memory.stride(1), {memory.size(1), memory.size(2)}, at, tables, behind);
}

void PackedTransformer::set_keys(const Attention& attention, Rows keys, Rows values,
                                 std::int64_t document_stride, Shape shape, std::int64_t at,
                                 const std::optional<Tables>& tables, std::int64_t behind) {
  const auto dim = config_.dim_head, heads = attention.kv_heads;
  const auto* scale = const_data(attention.k_scale);
  const Rotation rotation(tables, keys_.positions(), behind, dim);
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

void PackedTransformer::attend(const PackedLayer& layer, Rows entry, Shape shape, const at::Tensor& past,
                               const at::Tensor& block) {
  const auto& attention = layer.layer.attn;
  const auto before = past.defined() ? past.size(2) : 0, length = block.size(2);
  // A block's positions are those of a full one: they do not depend on how long it is.
  const auto behind = config_.block_width - length;
  set_queries(attention, entry, shape, query_tables_, behind);
  open_keys(attention, shape.batch, before + length);
  if (before > 0) set_keys(attention, past, 0, key_tables_, behind);
  set_keys(attention, block, before, key_tables_, behind);
  const auto width = joined_width(layer.layer);
  const auto bias = position_bias_.defined()
                        ? DistanceBias{const_data(position_bias_), position_bias_.size(1)}
                        : DistanceBias{};
  run_attention(attention, shape, before + length - shape.length,
                {joined_.resize<float>(shape.rows() * width), width}, config_.dim_head, bias);
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
    set_keys(attention, keys, {keys.data + kv, keys.stride}, {shape.batch, config_.num_state_vectors});
    run_attention(attention, shape, TileAttention::kSeesAll, {joined.data + (1 + i) * inner, joined.stride},
                  config_.dim_head);
  }
}

}  // namespace unroll
