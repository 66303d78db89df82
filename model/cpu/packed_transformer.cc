#include "model/cpu/packed_transformer.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/cpu/floats_of.h"
#include "model/fast_form.h"

namespace unroll {

bool PackedTransformer::computes(const ModelConfig& config) {
  return config.state_gate != StateGateKind::kMemformer && config.state_cell == StateCell::kSkip;
}

PackedTransformer::PackedTransformer(const BlockRecurrentTransformer& definition, Arithmetic arithmetic)
    : config_(definition.config()),
      shape_(shape_of(config_)),
      arithmetic_(arithmetic),
      attention_arithmetic_(arithmetic),
      machine_(at::get_num_threads(), row_kernels()),
      token_emb_(definition.parameters().at("token_emb.weight").contiguous()),
      logits_norm_(definition.logits_norm()),
      logits_(definition.parameters().at("to_logits.1.weight"), arithmetic) {
  if (arithmetic == Arithmetic::kInt8 &&
      !(cpu_supports(Arithmetic::kBf16) && TileAttention::computes_int8(config_.dim_head)))
    attention_arithmetic_ = Arithmetic::kBf16;
  if (!cpu_supports(attention_arithmetic_)) attention_arithmetic_ = Arithmetic::kFp32;
  if (const auto* rotation = definition.rotation()) {
    query_tables_ = rotation->query_tables();
    key_tables_ = rotation->key_tables();
  } else {
    const auto distances = memory_length(config_) + config_.block_width;
    position_bias_ = definition.position_bias()->by_distance(distances).flip(1).contiguous();
  }
  for (const auto& layer : definition.layers()) {
    if (layer.state_container) cell_layers_.push_back(layers_.size());
    layers_.push_back(pack(definition, layer));
  }
  for (const auto& initial : definition.initial_states(1)) initial_states_.push_back(initial.contiguous());
  states_.resize(initial_states_.size());
}

PackedTransformer::PackedLayer PackedTransformer::pack(const BlockRecurrentTransformer& definition,
                                                       const Layer& layer) const {
  auto entry = entry_matrices(definition, layer);
  if (layer.routed) {
    for (const auto& matrix : {layer.routed->to_q, layer.routed->to_route_q, layer.routed->to_route_k})
      entry.push_back(matrix);
  }
  PackedLayer packed{without_matrices(layer),
                     PackedMatrix(entry, arithmetic_),
                     PackedMatrix(std::array{layer.to_out}, arithmetic_),
                     PackedMatrix(std::array{layer.ff_in}, arithmetic_, true),
                     PackedMatrix(std::array{layer.ff_out}, arithmetic_),
                     std::nullopt,
                     share_of(layer.attention_gate),
                     share_of(layer.ff_gate)};
  if (layer.state_container) packed.cell.emplace(pack(*layer.state_container));
  return packed;
}

PackedTransformer::Cell PackedTransformer::pack(const StateContainer& container) const {
  return {without_matrices(container), PackedMatrix(entry_matrices(container), arithmetic_),
          PackedMatrix(std::array{container.to_state_out}, arithmetic_),
          PackedMatrix(std::array{container.gate.weight}, arithmetic_), share_of(container.gate.beta)};
}

void PackedTransformer::activate(Rows rows, std::int64_t count, std::int64_t columns, const LayerNorm* norm) {
  activations_.resize(arithmetic_, count, columns);
  const auto* gamma = norm ? const_data(norm->gamma) : nullptr;
  const auto* beta = norm ? const_data(norm->beta) : nullptr;
  machine_.parallel(count, columns * kRowCost, [&](std::int64_t row, Buffer& room) {
    const float* values = rows[row];
    if (norm) {
      auto* normed = room.resize<float>(columns);
      machine_.kernels.layer_norm(values, gamma, beta, columns, normed);
      values = normed;
    }
    activations_.set(row, values, machine_.kernels);
  });
}

Rows PackedTransformer::product(const PackedMatrix& weight, Buffer& out) {
  const auto stride = weight.padded_outputs();
  const Rows rows{out.resize<float>(round_up(activations_.rows(), kTile) * stride), stride};
  multiply(activations_, weight, machine_, rows.data);
  return rows;
}

void PackedTransformer::add_product(const Activations& activations, const PackedMatrix& weight,
                                    const at::Tensor& x, const at::Tensor& share) {
  const Rows rows{data(x), config_.dim};
  const auto* shares = share.defined() ? const_data(share) : nullptr;
  multiply(activations, weight, machine_, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns;
    const auto count = std::min(weight.group_columns(group), config_.dim - column);
    if (shares) {
      machine_.kernels.blend(rows[row] + column, values, shares + column, count);
    } else {
      machine_.kernels.add(rows[row] + column, values, count);
    }
  });
}

void PackedTransformer::prepare(States& states, Cell& cell) {
  const auto dim = config_.dim, count = states.before.size(0) * states.before.size(1);
  const Rows rows{state_rows_.resize<float>(count * dim), dim}, before{data(states.before), dim};
  const auto* places = const_data(cell.container.state_pos_ids);
  const auto* gamma = const_data(cell.container.state_norm.gamma);
  const auto* beta = const_data(cell.container.state_norm.beta);
  machine_.parallel(count, dim * kRowCost, [&](std::int64_t row, Buffer&) {
    machine_.kernels.layer_norm(before[row], gamma, beta, dim, rows[row]);
    machine_.kernels.add(rows[row], places + row % config_.num_state_vectors * dim, dim);
  });
  activate(rows, count, dim);
  product(cell.entry, states.entry);
}

std::int64_t PackedTransformer::joined_width(const Layer& layer) const {
  return config_.inner_dim() * (1 + std::ssize(layer.reads_states) + (layer.routed ? 1 : 0));
}

void PackedTransformer::read_routed(const PackedLayer& layer, Rows entry, Shape shape,
                                    const RoutedMemory& memory) {
  const auto inner = config_.inner_dim(), before = inner * (1 + std::ssize(layer.layer.reads_states));
  const auto width = joined_width(layer.layer);
  auto* out = joined_.data<float>() + before;
  if (memory.empty()) {
    for (std::int64_t row = 0; row < shape.rows(); ++row) std::fill_n(out + row * width, inner, 0.0F);
    return;
  }
  auto* queries = entry.data + before + 2 * config_.kv_dim();
  for (std::int64_t i = 0; i < shape.batch; ++i) {
    const auto row = i * shape.length;
    routing_.read(*layer.layer.routed, memory, i, shape.length, {queries + row * entry.stride, entry.stride},
                  {queries + inner + row * entry.stride, entry.stride}, {out + row * width, width}, machine_);
  }
}

RoutedMemory PackedTransformer::next_routed(const PackedLayer& layer, Rows entry, Shape shape,
                                            const RoutedMemory& memory, const at::Tensor& block) {
  const auto inner = config_.inner_dim(), kv = config_.kv_dim();
  const auto routes = 2 * kv + inner * (2 + std::ssize(layer.layer.reads_states)) + config_.routed_memory_dim;
  return layer.layer.routed->append(
      memory, columns_of({entry.data + routes, entry.stride}, shape, config_.routed_memory_dim), block[0],
      block[1]);
}

at::Tensor PackedTransformer::write(Cell& cell, States& states, const at::Tensor& block) {
  const auto dim = config_.dim, inner = config_.inner_dim(), kv = config_.kv_dim(), head = config_.dim_head;
  const Shape slots{block.size(1), config_.num_state_vectors};
  const Rows own{states.entry.data<float>(), cell.entry.padded_outputs()};
  // The reference joins the two results along each head, so the halves alternate head by head.
  const Rows joined{joined_.resize<float>(slots.rows() * 2 * inner), 2 * inner};
  const auto& self = cell.container.state_self_attn;
  set_queries(self, {own.data + 2 * kv, own.stride}, slots, std::nullopt);
  open_keys(self, slots.batch, slots.length);
  set_keys(self, own, {own.data + kv, own.stride}, slots);
  run_attention(self, slots, TileAttention::kSeesAll, joined, 2 * head);
  const auto& cross = cell.container.from_state_cross_attn;
  set_queries(cross, {own.data + 2 * kv + inner, own.stride}, slots, std::nullopt);
  open_keys(cross, slots.batch, block.size(2));
  set_keys(cross, block);
  run_attention(cross, slots, TileAttention::kSeesAll, {joined.data + head, joined.stride}, 2 * head);

  activate(joined, slots.rows(), 2 * inner);
  activate(product(cell.out, state_rows_), slots.rows(), dim);
  auto after = at::empty(states.before.sizes(), states.before.options());
  const Rows old{data(states.before), dim}, next{data(after), dim};
  if (!cell.decay.defined()) {
    gate_lstm(cell, old, next, slots.rows());
    return after;
  }
  const auto *bias = const_data(cell.container.gate.bias), *decay = const_data(cell.decay);
  multiply(activations_, cell.gate, machine_, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns;
    const auto count = std::min(cell.gate.group_columns(group), dim - column);
    machine_.kernels.add(values, bias + column, count);
    std::copy_n(old[row] + column, count, next[row] + column);
    machine_.kernels.blend(next[row] + column, values, decay + column, count);
  });
  return after;
}

void PackedTransformer::gate_lstm(const Cell& cell, Rows old, Rows next, std::int64_t count) {
  const auto dim = config_.dim;
  const auto gates = product(cell.gate, state_rows_);
  const auto* bias = const_data(cell.container.gate.bias);
  const auto sigmoid = [](float x) { return 1 / (1 + std::exp(-x)); };
  machine_.parallel(count, 3 * dim * kRowCost, [&](std::int64_t row, Buffer&) {
    const float *z = gates[row], *in = z + dim, *forget = in + dim;
    for (std::int64_t i = 0; i < dim; ++i) {
      const auto kept = old[row][i] * sigmoid(forget[i] + bias[2 * dim + i] + 1);
      next[row][i] = kept + std::tanh(z[i] + bias[i]) * sigmoid(in[i] + bias[dim + i] - 1);
    }
  });
}

void PackedTransformer::feed_forward(const PackedLayer& layer, const at::Tensor& x) {
  const auto dim = config_.dim, inner = config_.ff_inner_dim(), count = x.numel() / dim;
  activate({data(x), dim}, count, dim, &layer.layer.ff_norm);
  const auto& weight = layer.ff_in;
  const bool whole = !Activations::takes_columns(arithmetic_);
  float* rows = nullptr;
  if (whole) {
    rows = gated_rows_.resize<float>(count * inner);
  } else {
    gated_.resize(arithmetic_, count, inner);
  }
  multiply(activations_, weight, machine_, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns / 2, padded = weight.group_columns(group) / 2;
    const auto width = std::min(padded, (whole ? inner : gated_.stride()) - column);
    machine_.kernels.gelu_gate(values, values + padded, width, whole ? rows + row * inner + column : values);
    if (!whole) gated_.set_columns(row, column, values, width, machine_.kernels);
  });
  if (whole) activate({rows, inner}, count, inner);
  add_product(whole ? activations_ : gated_, layer.ff_out, x, layer.ff_share);
}

at::Tensor PackedTransformer::embed(const at::Tensor& tokens) {
  const auto dim = config_.dim;
  const auto ids = tokens.contiguous();
  auto x = at::empty({tokens.size(0), tokens.size(1), dim}, token_emb_.options());
  const auto* id = ids.const_data_ptr<std::int64_t>();
  TORCH_CHECK(std::all_of(id, id + ids.numel(), [&](auto i) { return i >= 0 && i < config_.num_tokens; }),
              "a token is not in the vocabulary");
  const auto* table = const_data(token_emb_);
  auto* rows = data(x);
  machine_.parallel(ids.numel(), dim * kRowCost, [&](std::int64_t row, Buffer&) {
    std::copy_n(table + id[row] * dim, dim, rows + row * dim);
  });
  return x;
}

at::Tensor PackedTransformer::continue_block(const at::Tensor& tokens, Recurrence& recurrence,
                                             BlockStart& start) {
  const Shape shape{tokens.size(0), tokens.size(1)};
  const auto length = start.length + shape.length;
  TORCH_CHECK(shape.length >= 1 && length <= config_.block_width, "a block has 1 to ", config_.block_width,
              " tokens");
  start.kv.resize(layers_.size());
  TORCH_CHECK(!recurrence.memories_visible.defined(),
              "memories that count in some rows only are for training");
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i].before = recurrence.states.empty()
                            ? initial_states_[i].expand({shape.batch, -1, -1}).contiguous()
                            : recurrence.states[i].contiguous();
    prepare(states_[i], cell(i));
  }
  Recurrence next;
  const auto dim = config_.dim;
  const auto x = embed(tokens);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    auto& layer = layers_[i];
    const auto memory = [&](std::size_t index) {
      return recurrence.memories.empty() ? at::Tensor() : recurrence.memories[index];
    };
    activate({data(x), dim}, shape.rows(), dim, &layer.layer.norm);
    const auto entry = product(layer.entry, entry_);
    const auto& block = start.kv[i] = block_of(entry, shape, start.kv[i]);
    const auto read_at = config_.enhanced_recurrence ? std::min(i + 1, layers_.size() - 1) : i;
    attend(layer, entry, shape, memory(read_at), block);
    read(layer, entry, shape);
    if (layer.layer.routed) read_routed(layer, entry, shape, recurrence.routed);
    const auto width = joined_width(layer.layer);
    activate({joined_.data<float>(), width}, shape.rows(), width);
    add_product(activations_, layer.out, x, layer.attention_share);
    if (layer.cell) next.states.push_back(write(*layer.cell, states_[next.states.size()], block));
    if (length == config_.block_width && layer.layer.routed)
      next.routed = next_routed(layer, entry, shape, recurrence.routed, block);
    if (length == config_.block_width && config_.use_memories)
      next.memories.push_back(next_memory(config_, layer.layer.compression, memory(i), block));
    feed_forward(layer, x);
  }
  start.length = length;
  if (length != config_.block_width) {
    next.memories = recurrence.memories;
    next.routed = recurrence.routed;
  }
  recurrence = std::move(next);
  return x;
}

std::function<void()> PackedTransformer::score(const at::Tensor& hidden, std::vector<Scored> blocks) {
  activate_hidden(hidden.flatten(0, 1));
  logits_.score(activations_, blocks, machine_);
  return [] {};
}

at::Tensor PackedTransformer::logits(const at::Tensor& hidden) {
  activate_hidden(hidden);
  return logits_.all(activations_, machine_);
}

void PackedTransformer::activate_hidden(const at::Tensor& hidden) {
  const auto rows = hidden.contiguous();
  activate({data(rows), config_.dim}, rows.size(0), config_.dim, &logits_norm_);
}

at::Tensor PackedTransformer::columns_of(Rows rows, Shape shape, std::int64_t columns) const {
  auto result = at::empty({shape.batch, shape.length, columns}, token_emb_.options());
  auto* out = data(result);
  for (std::int64_t row = 0; row < shape.rows(); ++row) out = std::copy_n(rows[row], columns, out);
  return result;
}

at::Tensor PackedTransformer::block_of(Rows entry, Shape shape, const at::Tensor& start) {
  const auto inner = config_.inner_dim(), kv = config_.kv_dim();
  const auto before = start.defined() ? start.size(2) : 0, length = before + shape.length;
  auto result = at::empty({2, shape.batch, length, kv}, token_emb_.options());
  if (before > 0) result.narrow(2, 0, before).copy_(start);
  auto* keys = data(result);
  auto* values = keys + shape.batch * length * kv;
  machine_.parallel(shape.rows(), 2 * kv * kRowCost, [&](std::int64_t row, Buffer&) {
    const auto place = (row / shape.length * length + before + row % shape.length) * kv;
    std::copy_n(entry[row] + inner, kv, keys + place);
    std::copy_n(entry[row] + inner + kv, kv, values + place);
  });
  return result;
}

}  // namespace unroll
