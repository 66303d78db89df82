// PackedPretrained's part of attention around TileAttention: one pass over all positions that a block sees
// normalises queries and keys, stores keys and values in the next memory, rotates queries and keys, and packs
// all for TileAttention.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <ATen/ATen.h>

#include "model/cpu/floats_of.h"
#include "model/pretrained/packed_pretrained.h"

namespace unroll {

/// Rows of a layer's memory, [2 (k, v), batch, positions, kv_dim] in fp32 or bf16, each contiguous. Different
/// threads may read and write rows.
class PackedPretrained::Memory {
 public:
  Memory(const at::Tensor& tensor, const RowKernels& kernels) : kernels_(kernels) {
    if (!tensor.defined()) return;
    TORCH_CHECK(tensor.stride(3) == 1, "a memory's rows do not lie as attention takes them");
    data_ = tensor.data_ptr();
    std::ranges::copy(tensor.strides().slice(0, 3), strides_.begin());
    positions_ = tensor.size(2);
    columns_ = tensor.size(3);
    bytes_ = static_cast<std::int64_t>(tensor.element_size());
  }

  std::int64_t positions() const { return positions_; }
  /// A position's key and its value, [2 * kv_dim].
  void read(std::int64_t document, std::int64_t position, float* kv) const {
    for (std::int64_t plane = 0; plane < 2; ++plane, kv += columns_) {
      const auto* row = at(plane, document, position);
      if (is_bf16()) {
        kernels_.from_bf16(reinterpret_cast<const std::uint16_t*>(row), columns_, kv);
      } else {
        std::copy_n(reinterpret_cast<const float*>(row), columns_, kv);
      }
    }
  }
  void write(std::int64_t document, std::int64_t position, const float* kv) {
    for (std::int64_t plane = 0; plane < 2; ++plane, kv += columns_) {
      auto* row = at(plane, document, position);
      if (is_bf16()) {
        kernels_.to_bf16(kv, columns_, reinterpret_cast<std::uint16_t*>(row));
      } else {
        std::copy_n(kv, columns_, reinterpret_cast<float*>(row));
      }
    }
  }

 private:
  bool is_bf16() const { return bytes_ == 2; }
  std::byte* at(std::int64_t plane, std::int64_t document, std::int64_t position) const {
    const auto place = plane * strides_[0] + document * strides_[1] + position * strides_[2];
    return static_cast<std::byte*>(data_) + place * bytes_;
  }

  const RowKernels& kernels_;
  void* data_ = nullptr;
  std::array<std::int64_t, 3> strides_{};
  std::int64_t positions_ = 0, columns_ = 0, bytes_ = 0;
};

namespace {

/// Which positions that a full block sees go into the next memory: the first ones, and the latest.
struct Remembered {
  std::int64_t sinks, dropped;
  /// Index in the next memory, or -1.
  std::int64_t place(std::int64_t position) const {
    if (position < sinks) return position;
    return position < sinks + dropped ? -1 : position - dropped;
  }
};

}  // namespace

void PackedPretrained::set_keys(const Layer& layer, Shape shape, Past& past) {
  const auto dim = config_.head_dim, heads = config_.heads, kv_heads = config_.kv_heads,
             kv = config_.kv_dim();
  const auto& kernels = machine_.kernels;
  const bool bf16 = shape_.memory_type == at::kBFloat16;
  const Memory before(past.memory, kernels), start(past.start, kernels);
  const auto block = before.positions(), first = block + start.positions(), seen = first + shape.length;
  const auto kept = std::min(seen, config_.memory_positions());
  const auto positions = [&](std::int64_t count) {
    return at::empty({2, shape.batch, count, kv}, shape_.memory_type);
  };
  auto memory = past.fills_block ? positions(kept) : at::Tensor();
  auto whole = past.keeps_start ? positions(seen - block) : at::Tensor();
  if (whole.defined() && past.start.defined()) whole.narrow(2, 0, first - block).copy_(past.start);
  Memory after(memory, kernels), own(whole, kernels);
  const Remembered remembered{config_.attention_sinks, seen - kept};

  const bool mixed = attention_arithmetic_ == Arithmetic::kInt8;
  queries_.resize(attention_arithmetic_, shape.batch * heads, shape.length, dim);
  keys_.resize(attention_arithmetic_, shape.batch * kv_heads, seen, dim, kernels);
  const Rows entry{entry_.data<float>(), layer.entry.padded_outputs()};
  const auto *bias = floats_or_null(layer.entry_bias), *q_norm = floats_or_null(layer.q_norm),
             *k_norm = floats_or_null(layer.k_norm), *cosine = const_data(cosine_), *sine = const_data(sine_);
  machine_.parallel(shape.batch * seen, kv * 2 * kScatterCost, [&](std::int64_t i, Buffer& room) {
    const auto document = i / seen, position = i % seen;
    const auto turn = [&](float* head, const float* norm) {
      if (norm) kernels.rms_norm(head, norm, config_.rms_eps, dim, head);
      kernels.rotate(head, cosine + position * dim, sine + position * dim, dim);
      if (mixed) kernels.hadamard(head, dim, head);
    };
    auto* keys = room.resize<float>(2 * kv);
    auto* values = keys + kv;
    if (position < block) {
      before.read(document, position, keys);
    } else if (position < first) {
      start.read(0, position - block, keys);
    } else {
      auto* row = entry[document * shape.length + position - first];
      if (bias) kernels.add(row, bias, heads * dim + 2 * kv);
      for (std::int64_t head = 0; head < heads; ++head) {
        turn(row + head * dim, q_norm);
        queries_.set(document * heads + head, position - first, row + head * dim, kernels);
      }
      std::copy_n(row + heads * dim, 2 * kv, keys);
      for (std::int64_t head = 0; k_norm && head < kv_heads; ++head)
        kernels.rms_norm(keys + head * dim, k_norm, config_.rms_eps, dim, keys + head * dim);
      if (bf16) kernels.round_to_bf16(keys, 2 * kv);
      if (past.keeps_start) own.write(document, position - block, keys);
    }
    const auto place = past.fills_block ? remembered.place(position) : -1;
    if (place >= 0) after.write(document, place, keys);
    for (std::int64_t head = 0; head < kv_heads; ++head) {
      turn(keys + head * dim, nullptr);
      keys_.set(document * kv_heads + head, position, keys + head * dim, values + head * dim, kernels);
    }
  });
  past.memory = std::move(memory);
  past.start = std::move(whole);
}

void PackedPretrained::attend(const Layer& layer, Shape shape, Past& past) {
  const auto dim = config_.hidden_size, inner = config_.inner_dim();
  activate({x_.data<float>(), dim}, shape.rows(), dim, layer.attention_norm);
  multiply(activations_, layer.entry, machine_,
           entry_.resize<float>(round_up(shape.rows(), kTile) * layer.entry.padded_outputs()));
  set_keys(layer, shape, past);
  const Rows joined{joined_.resize<float>(shape.rows() * inner), inner};
  TileAttention(queries_, keys_, shape.batch, 1 / std::sqrt(static_cast<double>(config_.head_dim)),
                keys_.positions() - shape.length)
      .run({joined.data, shape.length * inner, inner, config_.head_dim}, machine_);
  activate(joined, shape.rows(), inner);
  add_product(activations_, layer.out, layer.out_bias);
}

}  // namespace unroll
