#include "model/pretrained/packed_pretrained.h"

#include <algorithm>
#include <array>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "model/cpu/floats_of.h"

namespace unroll {
namespace {

/// In int8, a head's queries and keys are mixed like rows of other products, if the head divides into parts
/// as wide as the mixing matrix. With biases, some channels of keys are too large even after mixing; then
/// bf16.
Arithmetic attention_arithmetic(const PretrainedConfig& config, Arithmetic arithmetic) {
  if (arithmetic != Arithmetic::kInt8) return arithmetic;
  if (!cpu_supports(Arithmetic::kBf16)) return Arithmetic::kFp32;
  const bool even = !config.qkv_bias && config.head_dim % kHadamard == 0;
  return even && TileAttention::computes_int8(config.head_dim) ? Arithmetic::kInt8 : Arithmetic::kBf16;
}

at::Tensor joined_bias(const PretrainedLayer& layer) {
  if (!layer.q.bias.defined()) return {};
  return at::cat(std::vector<at::Tensor>{layer.q.bias, layer.k.bias, layer.v.bias}, 0);
}

}  // namespace

PackedPretrained::PackedPretrained(const PretrainedTransformer& definition, Arithmetic arithmetic,
                                   const std::function<PretrainedLayer(std::size_t)>& layer)
    : config_(definition.config()),
      shape_(definition.shape()),
      arithmetic_(arithmetic),
      attention_arithmetic_(attention_arithmetic(config_, arithmetic)),
      machine_(at::get_num_threads(), row_kernels()),
      embedding_(definition.weights()
                     .embedding.to(arithmetic == Arithmetic::kFp32 ? at::kFloat : at::kBFloat16)
                     .contiguous()),
      cosine_(definition.cosine().contiguous()),
      sine_(definition.sine().contiguous()),
      norm_(definition.weights().norm),
      logits_(mixed(definition.weights().output), arithmetic) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(config_.layers); ++i)
    layers_.push_back(pack(layer(i)));
}

at::Tensor PackedPretrained::mixed(const at::Tensor& weight) {
  if (!mixes()) return weight;
  const auto rows = weight.to(at::kFloat).contiguous();
  const auto columns = rows.size(1), padded = round_up(columns, kHadamard);
  auto result = at::empty({rows.size(0), padded}, rows.options());
  const auto* from = const_data(rows);
  auto* to = data(result);
  machine_.parallel(rows.size(0), columns * kRowCost, [&](std::int64_t row, Buffer&) {
    machine_.kernels.hadamard(from + row * columns, columns, to + row * padded);
  });
  return result;
}

PackedPretrained::Layer PackedPretrained::pack(const PretrainedLayer& layer) {
  const auto matrix = [&](const PretrainedLinear& linear) {
    return PackedMatrix(std::array{mixed(linear.weight)}, arithmetic_);
  };
  return {layer.attention_norm,
          layer.feed_forward_norm,
          layer.q_norm,
          layer.k_norm,
          PackedMatrix(std::array{mixed(layer.q.weight), mixed(layer.k.weight), mixed(layer.v.weight)},
                       arithmetic_),
          joined_bias(layer),
          matrix(layer.o),
          layer.o.bias,
          PackedMatrix(std::array{mixed(layer.up.weight), mixed(layer.gate.weight)}, arithmetic_, true),
          layer.up.bias,
          layer.gate.bias,
          matrix(layer.down),
          layer.down.bias};
}

void PackedPretrained::activate(Rows rows, std::int64_t count, std::int64_t columns, const at::Tensor& norm) {
  const auto width = mixes() ? round_up(columns, kHadamard) : columns;
  activations_.resize(arithmetic_, count, width);
  const auto* gamma = floats_or_null(norm);
  machine_.parallel(count, columns * kRowCost, [&](std::int64_t row, Buffer& room) {
    const float* values = rows[row];
    auto* own = room.resize<float>(width);
    if (gamma) {
      machine_.kernels.rms_norm(values, gamma, config_.rms_eps, columns, own);
      values = own;
    }
    if (mixes()) {
      machine_.kernels.hadamard(values, columns, own);
      values = own;
    }
    activations_.set(row, values, machine_.kernels);
  });
}

void PackedPretrained::add_product(const Activations& activations, const PackedMatrix& weight,
                                   const at::Tensor& bias) {
  const auto dim = config_.hidden_size;
  const Rows rows{x_.data<float>(), dim};
  const auto* biases = floats_or_null(bias);
  multiply(activations, weight, machine_, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns;
    const auto count = std::min(weight.group_columns(group), dim - column);
    machine_.kernels.add(rows[row] + column, values, count);
    if (biases) machine_.kernels.add(rows[row] + column, biases + column, count);
  });
}

void PackedPretrained::feed_forward(const Layer& layer, Shape shape) {
  const auto inner = config_.intermediate_size;
  activate({x_.data<float>(), config_.hidden_size}, shape.rows(), config_.hidden_size,
           layer.feed_forward_norm);
  const auto *up_bias = floats_or_null(layer.up_bias), *gate_bias = floats_or_null(layer.gate_bias);
  const bool whole = !Activations::takes_columns(arithmetic_);
  float* rows = nullptr;
  if (whole) {
    rows = gated_rows_.resize<float>(shape.rows() * inner);
  } else {
    gated_.resize(arithmetic_, shape.rows(), inner);
  }
  multiply(activations_, layer.up, machine_, [&](std::int64_t row, std::int64_t group, float* values) {
    const auto column = group * PackedMatrix::kGroupColumns / 2, padded = layer.up.group_columns(group) / 2;
    const auto width = std::min(padded, (whole ? inner : gated_.stride()) - column);
    auto* gates = values + padded;
    if (up_bias) machine_.kernels.add(values, up_bias + column, std::min(width, inner - column));
    if (gate_bias) machine_.kernels.add(gates, gate_bias + column, std::min(width, inner - column));
    machine_.kernels.silu_gate(values, gates, width, whole ? rows + row * inner + column : values);
    if (!whole) gated_.set_columns(row, column, values, width, machine_.kernels);
  });
  if (whole) activate({rows, inner}, shape.rows(), inner);
  add_product(whole ? activations_ : gated_, layer.down, layer.down_bias);
}

void PackedPretrained::embed(const at::Tensor& tokens) {
  const auto dim = config_.hidden_size;
  const auto ids = tokens.contiguous();
  const auto* id = ids.const_data_ptr<std::int64_t>();
  TORCH_CHECK(std::all_of(id, id + ids.numel(), [&](auto i) { return i >= 0 && i < config_.vocabulary; }),
              "a token is not in the vocabulary");
  const Rows rows{x_.resize<float>(ids.numel() * dim), dim};
  const bool bf16 = embedding_.scalar_type() == at::kBFloat16;
  const void* table = embedding_.const_data_ptr();
  machine_.parallel(ids.numel(), dim * kRowCost, [&](std::int64_t row, Buffer&) {
    if (bf16) {
      machine_.kernels.from_bf16(static_cast<const std::uint16_t*>(table) + id[row] * dim, dim, rows[row]);
    } else {
      std::copy_n(static_cast<const float*>(table) + id[row] * dim, dim, rows[row]);
    }
  });
}

at::Tensor PackedPretrained::read(const at::Tensor& tokens, Recurrence& recurrence, BlockStart* start) {
  const Shape shape{tokens.size(0), tokens.size(1)};
  const auto length = (start ? start->length : 0) + shape.length;
  TORCH_CHECK(shape.length >= 1 && length <= config_.block_width, "a block has 1 to ", config_.block_width,
              " tokens");
  embed(tokens);
  if (start) start->kv.resize(layers_.size());
  Recurrence next;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Past past{recurrence.memories.empty() ? at::Tensor() : recurrence.memories[i],
              start ? start->kv[i] : at::Tensor(), start != nullptr, length == config_.block_width};
    attend(layers_[i], shape, past);
    if (past.memory.defined()) next.memories.push_back(std::move(past.memory));
    if (start) start->kv[i] = std::move(past.start);
    feed_forward(layers_[i], shape);
  }
  if (start) start->length = length;
  if (length == config_.block_width) recurrence = std::move(next);

  const auto dim = config_.hidden_size;
  auto hidden = at::empty({shape.batch, shape.length, dim}, at::kFloat);
  const Rows x{x_.data<float>(), dim}, out{data(hidden), dim};
  const auto* gamma = const_data(norm_);
  machine_.parallel(shape.rows(), dim * kRowCost, [&](std::int64_t row, Buffer&) {
    machine_.kernels.rms_norm(x[row], gamma, config_.rms_eps, dim, out[row]);
  });
  return hidden;
}

std::function<void()> PackedPretrained::score(const at::Tensor& hidden, std::vector<Scored> blocks) {
  const auto rows = hidden.contiguous();
  activate({data(rows), config_.hidden_size}, hidden.size(0) * hidden.size(1), config_.hidden_size);
  logits_.score(activations_, blocks, machine_);
  return [] {};
}

at::Tensor PackedPretrained::logits(const at::Tensor& hidden) {
  const auto rows = hidden.contiguous();
  activate({data(rows), config_.hidden_size}, hidden.size(0), config_.hidden_size);
  return logits_.all(activations_, machine_);
}

}  // namespace unroll
