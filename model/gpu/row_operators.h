// The row programs as operators on tensors, for GpuTransformer. Each launches one program and never waits.
// "Numbers" are of the type that matrices multiply, bf16 or fp32; sums over layers and blocks are fp32.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/gpu/row_machine.h"
#include "model/rotary.h"

namespace unroll {

/// Tensors are contiguous unless stated otherwise, and on the machine's device.
class RowOperators {
 public:
  /// `numbers`: bf16 or fp32. `machine` must outlive this.
  RowOperators(RowMachine& machine, at::ScalarType numbers) : machine_(machine), numbers_(numbers) {}

  at::ScalarType numbers() const { return numbers_; }
  /// x fp32 [rows, dim] += branch (numbers); with a share fp32 [dim], blends the two.
  void add(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& share) const;
  /// The same if `branch` is defined; then -> the layer norm of x, numbers [rows, dim], plus the rows of
  /// `places` fp32 [any, dim] in turn if that is defined.
  at::Tensor add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& share,
                      const LayerNorm& norm, const at::Tensor& places = {}) const;
  /// [rows, 2 * width], values before gates -> [rows, width].
  at::Tensor gelu_gate(const at::Tensor& in) const;
  /// before fp32 [batch, count, dim], z numbers [batch * count, dim] -> fp32, shape of `before`.
  at::Tensor update_state(const at::Tensor& before, const at::Tensor& z, const at::Tensor& bias,
                          const at::Tensor& share) const;

  struct Heads {
    at::Tensor from;  ///< Numbers or fp32 [batch, length, heads * dim_head]; may be columns of wider rows,
                      ///< and documents may lie apart.
    at::Tensor to;    ///< Numbers [batch, positions, heads, dim_head].
    std::int64_t begin = 0;  ///< The first position in `to`.
    at::Tensor scale = {};   ///< fp32 [dim_head]: normalise to unit length, times this; undefined: unchanged.
    RotaryTables::Tables tables = {};  ///< fp32 [length, dim_head]; undefined: no rotation.
  };
  /// At most HeadCopies::kMost, all with the same dim_head.
  void copy_heads(std::span<const Heads> heads) const;
  /// logits [rows, at least num_tokens], targets int64 [rows] -> logprobs and, if defined, entropies fp32
  /// [rows].
  void score(const at::Tensor& logits, std::int64_t num_tokens, const at::Tensor& targets,
             const at::Tensor& logprobs, const at::Tensor& entropies) const;

 private:
  RowMachine& machine_;
  at::ScalarType numbers_;
};

}  // namespace unroll
