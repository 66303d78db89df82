#include "model/gpu/gpu_transformer.h"

#include <algorithm>
#include <array>
#include <utility>

#include <ATen/ATen.h>

#include "model/fast_form.h"
#include "model/round_up.h"

namespace unroll {
namespace {

constexpr std::int64_t kInnerMultiple = 64,
                       kOutputMultiple = 8;   // multiples with which GPU products are fast
constexpr std::int64_t kMostFlashHead = 256;  // maximum head size of flash attention
constexpr std::int64_t kBordersBatch = 512;

/// Pads to [rows, columns] with zeros.
at::Tensor padded(const at::Tensor& matrix, std::int64_t rows, std::int64_t columns) {
  auto result = at::zeros({rows, columns}, matrix.options());
  result.narrow(0, 0, matrix.size(0)).narrow(1, 0, matrix.size(1)).copy_(matrix);
  return result;
}

/// The same memories [2, batch, positions, kv_dim], each document's contiguous: Recurrence::rows() and
/// recordings copy it as a whole.
at::Tensor by_document(const at::Tensor& memory) {
  return memory.transpose(0, 1).contiguous().transpose(0, 1);
}

}  // namespace

bool GpuTransformer::computes(const ModelConfig& config) {
  return config.state_gate == StateGateKind::kFixed && config.state_cell == StateCell::kSkip &&
         !config.dynamic_position_bias && config.routed_memory_layer == 0 &&
         config.dim % kWidthMultiple == 0 && config.dim_head % (2 * kHalfHead) == 0;
}

GpuTransformer::GpuTransformer(const BlockRecurrentTransformer& definition,
                               std::unique_ptr<RowMachine> machine, at::ScalarType numbers, bool record)
    : config_(definition.config()),
      shape_(shape_of(config_)),
      machine_(std::move(machine)),
      rows_(*machine_, numbers),
      token_emb_(definition.parameters().at("token_emb.weight").contiguous()),
      query_tables_(definition.rotary().query_tables()),
      key_tables_(definition.rotary().key_tables()),
      logits_norm_(definition.logits_norm()),
      logits_(padded(definition.parameters().at("to_logits.1.weight").to(numbers),
                     round_up(config_.num_tokens, kOutputMultiple), config_.dim)) {
  for (const auto& layer : definition.layers()) {
    if (layer.state_container) cell_layers_.push_back(layers_.size());
    layers_.push_back(fuse(definition, layer));
  }
  for (const auto& initial : definition.initial_states(1)) initial_states_.push_back(initial.contiguous());
  if (record)
    recordings_.emplace(*machine_, [this](const at::Tensor& tokens, Recurrence& recurrence) {
      return run_block(tokens, recurrence);
    });
}

GpuTransformer::FusedLayer GpuTransformer::fuse(const BlockRecurrentTransformer& definition,
                                                const Layer& layer) const {
  const auto inner = round_up(config_.ff_inner_dim(), kInnerMultiple), dim = config_.dim;
  const auto halves = layer.ff_in.to(rows_.numbers()).chunk(2, 0);
  FusedLayer fused{without_matrices(layer),
                   at::cat(entry_matrices(definition, layer), 0).to(rows_.numbers()),
                   layer.to_out.to(rows_.numbers()).contiguous(),
                   at::cat(std::vector{padded(halves[0], inner, dim), padded(halves[1], inner, dim)}, 0),
                   padded(layer.ff_out.to(rows_.numbers()), dim, inner),
                   share_of(layer.attention_gate),
                   share_of(layer.ff_gate),
                   std::nullopt};
  if (layer.state_container) fused.cell.emplace(fuse(*layer.state_container));
  return fused;
}

GpuTransformer::Cell GpuTransformer::fuse(const StateContainer& container) const {
  return {without_matrices(container),
          at::cat(entry_matrices(container), 0).to(rows_.numbers()),
          container.to_state_out.to(rows_.numbers()).contiguous(),
          container.gate.weight.to(rows_.numbers()).contiguous(),
          container.gate.bias.contiguous(),
          share_of(container.gate.beta)};
}

at::Tensor GpuTransformer::columns(const at::Tensor& rows, Shape shape, std::int64_t begin,
                                   std::int64_t count) {
  return rows.view({shape.batch, shape.length, -1}).narrow(2, begin, count);
}

at::Tensor GpuTransformer::heads_of(const at::Tensor& columns) const {
  return columns.unflatten(2, {-1, config_.dim_head});
}

at::Tensor GpuTransformer::room(Shape shape, std::int64_t heads) const {
  return at::empty({shape.batch, shape.length, heads, config_.dim_head},
                   token_emb_.options().dtype(rows_.numbers()));
}

RotaryTables::Tables GpuTransformer::part(const RotaryTables::Tables& tables, std::int64_t length,
                                          std::int64_t behind) {
  const auto begin = tables.cosine.size(0) - behind - length;
  return {tables.cosine.narrow(0, begin, length), tables.sine.narrow(0, begin, length)};
}

at::Tensor GpuTransformer::borders(std::int64_t batch, std::int64_t length) const {
  const auto make = [&](std::int64_t documents) {
    return at::arange(0, (documents + 1) * length, length, token_emb_.options().dtype(at::kInt));
  };
  if (batch > kBordersBatch) return make(batch);
  auto& all = borders_[length];  // the address must not change: recordings use it
  if (!all.defined()) all = make(kBordersBatch);
  return all.narrow(0, 0, batch + 1);
}

at::Tensor GpuTransformer::flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                           double scale, bool causal) const {
  const auto batch = q.size(0), length = q.size(1), positions = k.size(1);
  // As consecutive sequences: in this form, unlike in the batched one, how sums are split does not depend on
  // the number of sequences. `causal` is aligned to the last key.
  return std::get<0>(at::_flash_attention_forward(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1),
                                                  borders(batch, length), borders(batch, positions), length,
                                                  positions, 0.0, causal, false, scale))
      .view(q.sizes());
}

at::Tensor GpuTransformer::attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                     double scale, bool causal) const {
  if (q.is_cuda() && rows_.numbers() == at::kBFloat16 && config_.dim_head <= kMostFlashHead)
    return flash_attention(q, k, v, scale, causal);
  const auto length = q.size(1), positions = k.size(1);
  std::optional<at::Tensor> mask;
  if (causal) mask = at::ones({length, positions}, q.options().dtype(at::kBool)).tril(positions - length);
  const auto expand = [&](const at::Tensor& x) {
    return x.transpose(1, 2).expand({x.size(0), q.size(2), positions, x.size(3)});
  };
  return at::scaled_dot_product_attention(q.transpose(1, 2), expand(k), expand(v), mask, 0.0, false, scale)
      .transpose(1, 2)
      .contiguous();
}

GpuTransformer::ReadyState GpuTransformer::prepare(const Cell& cell, const at::Tensor& before) const {
  const auto& container = cell.container;
  const auto normed =
      rows_.add_norm(before.flatten(0, 1), {}, {}, container.state_norm, container.state_pos_ids);
  const auto entry = at::linear(normed, cell.entry);
  const Shape shape{before.size(0), before.size(1)};
  const auto inner = config_.inner_dim(), kv = config_.kv_dim(), kv_heads = kv / config_.dim_head;
  ReadyState ready{before,
                   room(shape, kv_heads),
                   room(shape, kv_heads),
                   heads_of(columns(entry, shape, kv, kv)),
                   room(shape, config_.heads),
                   room(shape, config_.heads)};
  const auto keys = columns(entry, shape, 0, kv);
  const auto& reading = container.to_state_cross_attn;
  const auto& own = container.state_self_attn;
  const auto& block = container.from_state_cross_attn;
  rows_.copy_heads(std::array<RowOperators::Heads, 4>{{
      {keys, ready.read_keys, 0, reading.k_scale.value_or(at::Tensor())},
      {keys, ready.own_keys, 0, own.k_scale.value_or(at::Tensor())},
      {columns(entry, shape, 2 * kv, inner), ready.own_queries, 0, own.q_scale.value_or(at::Tensor())},
      {columns(entry, shape, 2 * kv + inner, inner), ready.block_queries, 0,
       block.q_scale.value_or(at::Tensor())},
  }});
  return ready;
}

at::Tensor GpuTransformer::attend(const FusedLayer& layer, const at::Tensor& entry, Shape shape,
                                  const at::Tensor& past, const std::vector<ReadyState>& states) const {
  const auto& attn = layer.layer.attn;
  const auto inner = config_.inner_dim(), kv = config_.kv_dim(), length = shape.length;
  const auto past_length = past.defined() ? past.size(2) : 0;
  const Shape all{shape.batch, past_length + length};
  const auto queries = room(shape, config_.heads), keys = room(all, attn.kv_heads),
             values = room(all, attn.kv_heads);
  const auto q_scale = attn.q_scale.value_or(at::Tensor()), k_scale = attn.k_scale.value_or(at::Tensor());
  std::vector<RowOperators::Heads> copies{
      {columns(entry, shape, 0, inner), queries, 0, q_scale, part(query_tables_, length, 0)},
      {columns(entry, shape, inner, kv), keys, past_length, k_scale, part(key_tables_, length, 0)},
      {columns(entry, shape, inner + kv, kv), values, past_length}};
  if (past_length > 0) {
    copies.push_back({past[0], keys, 0, k_scale, part(key_tables_, past_length, length)});
    copies.push_back({past[1], values, 0});
  }
  rows_.copy_heads(copies);
  std::vector<at::Tensor> parts{attention(queries, keys, values, attn.scale, true).view({-1, inner})};
  const auto& reads = layer.layer.reads_states;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const auto begin = inner + 2 * kv + static_cast<std::int64_t>(i) * inner;
    parts.push_back(read(reads[i], columns(entry, shape, begin, inner), states[reads[i]]));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

at::Tensor GpuTransformer::read(std::size_t state, const at::Tensor& queries, const ReadyState& ready) const {
  const auto& attn = layers_[cell_layers_[state]].cell->container.to_state_cross_attn;
  const auto scaled = room({queries.size(0), queries.size(1)}, config_.heads);
  rows_.copy_heads(std::array{RowOperators::Heads{queries, scaled, 0, attn.q_scale.value_or(at::Tensor())}});
  return attention(scaled, ready.read_keys, ready.values, attn.scale, false).view({-1, config_.inner_dim()});
}

at::Tensor GpuTransformer::write(const Cell& cell, const at::Tensor& keys, const at::Tensor& values,
                                 const ReadyState& ready) const {
  const auto& own = cell.container.state_self_attn;
  const auto& block = cell.container.from_state_cross_attn;
  const auto block_keys = room({keys.size(0), keys.size(1)}, block.kv_heads);
  rows_.copy_heads(
      std::array{RowOperators::Heads{keys, block_keys, 0, block.k_scale.value_or(at::Tensor())}});
  // The reference joins the two results along each head, so the halves alternate head by head.
  const auto joined =
      at::cat(std::vector{attention(ready.own_queries, ready.own_keys, ready.values, own.scale, false),
                          attention(ready.block_queries, block_keys, heads_of(values), block.scale, false)},
              -1);
  const auto z = at::linear(at::linear(joined.view({-1, 2 * config_.inner_dim()}), cell.out), cell.gate);
  return rows_.update_state(ready.before, z, cell.bias, cell.share);
}

at::Tensor GpuTransformer::run_block(const at::Tensor& tokens, Recurrence& recurrence) const {
  const Shape shape{tokens.size(0), tokens.size(1)};
  const auto inner = config_.inner_dim(), kv = config_.kv_dim();
  const bool leaves_memories = shape.length == config_.block_width && config_.use_memories;
  std::vector<ReadyState> states;
  for (std::size_t i = 0; i < cell_layers_.size(); ++i) {
    const auto before = recurrence.states.empty()
                            ? initial_states_[i].expand({shape.batch, -1, -1}).contiguous()
                            : recurrence.states[i].contiguous();
    states.push_back(prepare(*layers_[cell_layers_[i]].cell, before));
  }
  Recurrence next;
  const auto x = at::embedding(token_emb_, tokens).flatten(0, 1);
  auto normed = rows_.add_norm(x, {}, {}, layers_.front().layer.norm);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto entry = at::linear(normed, layer.entry);
    const auto read_at = config_.enhanced_recurrence ? std::min(i + 1, layers_.size() - 1) : i;
    const auto past = recurrence.memories.empty() ? at::Tensor() : recurrence.memories[read_at];
    const auto attended = attend(layer, entry, shape, past, states);
    normed = rows_.add_norm(x, at::linear(attended, layer.out), layer.attention_share, layer.layer.ff_norm);
    if (layer.cell)
      next.states.push_back(write(*layer.cell, columns(entry, shape, inner, kv),
                                  columns(entry, shape, inner + kv, kv), states[next.states.size()]));
    const auto gated = rows_.gelu_gate(at::linear(normed, layer.ff_in));
    const auto branch = at::linear(gated, layer.ff_out);
    if (i + 1 < layers_.size())
      normed = rows_.add_norm(x, branch, layer.ff_share, layers_[i + 1].layer.norm);
    else
      rows_.add(x, branch, layer.ff_share);
    if (leaves_memories)
      next.memories.push_back(
          by_document(next_memory(config_, layer.layer.compression,
                                  recurrence.memories.empty() ? at::Tensor() : recurrence.memories[i],
                                  memory_of(columns(entry, shape, inner, 2 * kv)))));
  }
  if (!leaves_memories) next.memories = recurrence.memories;
  recurrence = std::move(next);
  return x.view({shape.batch, shape.length, config_.dim});
}

at::Tensor GpuTransformer::memory_of(const at::Tensor& keys_and_values) {
  const auto batch = keys_and_values.size(0), length = keys_and_values.size(1),
             kv = keys_and_values.size(2) / 2;
  const auto memory =
      at::empty({batch, 2, length, kv}, keys_and_values.options().dtype(at::kFloat)).transpose(0, 1);
  return memory.copy_(keys_and_values.unflatten(2, {2, kv}).permute({2, 0, 1, 3}));
}

at::Tensor GpuTransformer::forward_block(const at::Tensor& tokens, Recurrence& recurrence) {
  TORCH_CHECK(tokens.size(1) >= 1 && tokens.size(1) <= config_.block_width, "a block has 1 to ",
              config_.block_width, " tokens");
  TORCH_CHECK(!recurrence.memories_visible.defined(),
              "memories that count in some rows only are for training");
  const auto here = to_device(tokens);
  const auto memories = recurrence.memories.empty() ? 0 : recurrence.memories.front().size(2);
  const bool steady = tokens.size(1) == config_.block_width && memories == memory_length(config_) &&
                      recurrence.states.size() == cell_layers_.size();
  if (recordings_ && steady) {
    if (auto hidden = recordings_->run(here, recurrence)) return *hidden;
  }
  return run_block(here, recurrence);
}

at::Tensor GpuTransformer::to_device(const at::Tensor& tensor) const {
  // From pinned memory, which the device reads by itself, without waiting.
  return device().is_cuda() ? tensor.contiguous().pin_memory().to(device(), true) : tensor.to(device());
}

}  // namespace unroll
