// The row programs as operators on tensors: what GpuTransformer is written in. Each launches one program and
// waits for nothing. "Numbers" are what matrices multiply, bf16 or fp32; what adds up over layers and blocks
// is fp32.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/gpu/row_machine.h"
#include "model/rotary.h"

namespace unroll {

/// Tensors are compact unless it says otherwise, on the machine's device.
class RowOperators {
 public:
  /// `numbers`: bf16 or fp32. `machine` outlives this.
  RowOperators(RowMachine& machine, at::ScalarType numbers) : machine_(machine), numbers_(numbers) {}

  at::ScalarType numbers() const { return numbers_; }
  /// x fp32 [rows, dim] += branch (numbers), or blended with it where there is a share fp32 [dim].
  void add(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& share) const;
  /// The same where `branch` is defined; then -> the layer norm of x, numbers [rows, dim], plus row after row
  /// of `places` fp32 [any, dim] where that is defined.
  at::Tensor add_norm(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& share,
                      const LayerNorm& norm, const at::Tensor& places = {}) const;
  /// [rows, 2 * width], values before gates -> [rows, width].
  at::Tensor gelu_gate(const at::Tensor& in) const;
  /// before fp32 [batch, count, dim], z numbers [batch * count, dim] -> fp32, as before.
  at::Tensor update_state(const at::Tensor& before, const at::Tensor& z, const at::Tensor& bias,
                          const at::Tensor& share) const;

  struct Heads {
    at::Tensor from;  ///< Numbers or fp32 [batch, length, heads * dim_head]; may be columns of wider rows.
    at::Tensor to;    ///< Numbers [batch, positions, heads, dim_head].
    std::int64_t begin = 0;            ///< The first position in `to`.
    at::Tensor scale = {};             ///< fp32 [dim_head]: of unit length, times this; undefined: as it is.
    RotaryTables::Tables tables = {};  ///< fp32 [length, dim_head]; undefined: not turned.
  };
  /// At most HeadCopies::kMost, of one dim_head.
  void copy_heads(std::span<const Heads> heads) const;
  /// logits [rows, at least num_tokens], targets int64 [rows] -> logprobs and, where defined, entropies fp32
  /// [rows].
  void score(const at::Tensor& logits, std::int64_t num_tokens, const at::Tensor& targets,
             const at::Tensor& logprobs, const at::Tensor& entropies) const;

 private:
  RowMachine& machine_;
  at::ScalarType numbers_;
};

}  // namespace unroll
