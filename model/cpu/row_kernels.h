// Loops over one row between matrix products: norms, activations, softmax, conversions. row_kernels.cc is
// compiled once per instruction set; the choice is made at run time. Parameters are plain pointers, so that
// no code of the standard library is compiled for a CPU that may be absent. Rows are floats without
// alignment.
#pragma once

#include <cstdint>

#include "model/cpu/instruction_set.h"

namespace unroll {

/// State of a softmax over a row that comes in pieces (Milakov & Gimelshein 2018, arXiv 1805.02867), in
/// powers of two: exp(logit) = 2^(logit / ln 2). Initially {-inf, 0, 0}.
struct SoftmaxSums {
  float max;  ///< Of the exponents so far, rounded up to an integer, so that rescaling changes no other bit.
  float sum;  ///< Of exp(logit) / 2^max.
  float weighted;  ///< Of exp(logit) / 2^max * logit, for the entropy.
};

constexpr std::int64_t kHadamard = 64;

struct RowKernels {
  /// out = (x - mean) / sqrt(variance + 1e-5) * gamma + beta.
  void (*layer_norm)(const float* x, const float* gamma, const float* beta, std::int64_t count, float* out);
  /// out = x / sqrt(mean of squares + epsilon) * gamma; may be in place.
  void (*rms_norm)(const float* x, const float* gamma, float epsilon, std::int64_t count, float* out);
  /// x = x / |x| * scale.
  void (*unit_length)(float* x, const float* scale, std::int64_t count);
  /// x = x * cosine + rotate_half(x) * sine, rotate_half being (-second half, first half).
  void (*rotate)(float* x, const float* cosine, const float* sine, std::int64_t count);
  /// out = gelu(gates) * values, gelu by erf (Abramowitz & Stegun 7.1.26, within 1.5e-7); may be in place.
  void (*gelu_gate)(const float* values, const float* gates, std::int64_t count, float* out);
  /// out = x times the 64 x 64 Hadamard matrix / 8, for each 64 numbers of x, which must be padded with zeros
  /// to a multiple of 64; may be in place. Orthogonal and its own inverse; spreads each number over all 64.
  void (*hadamard)(const float* x, std::int64_t count, float* out);
  /// out = silu(gates) * values, silu(x) = x / (1 + exp(-x)); may be in place.
  void (*silu_gate)(const float* values, const float* gates, std::int64_t count, float* out);
  /// x += branch.
  void (*add)(float* x, const float* branch, std::int64_t count);
  /// x += share * (branch - x).
  void (*blend)(float* x, const float* branch, const float* share, std::int64_t count);
  /// out = x * factor; may be in place.
  void (*scale)(const float* x, float factor, std::int64_t count, float* out);
  void (*to_bf16)(const float* x, std::int64_t count, std::uint16_t* out);
  /// x = the nearest bf16.
  void (*round_to_bf16)(float* x, std::int64_t count);
  void (*from_bf16)(const std::uint16_t* x, std::int64_t count, float* out);
  /// out = round(x / s) + 128 with the smallest s that fits; returns s.
  float (*to_uint8)(const float* x, std::int64_t count, std::uint8_t* out);
  /// out = (sums - offsets) * scales * factor; may be in place.
  void (*from_int32)(const std::int32_t* sums, const std::int32_t* offsets, const float* scales, float factor,
                     std::int64_t count, float* out);
  /// The next `count` of a row's scores, which are to be multiplied by `scale`: out = exp(scale * scores) /
  /// 2^max, followed by zeros up to `width`, a multiple of 16. Returns the factor by which the row's earlier
  /// results must be multiplied, because the maximum may have risen.
  float (*softmax_fp32)(const float* scores, float scale, std::int64_t count, std::int64_t width,
                        SoftmaxSums* sums, float* out);
  float (*softmax_bf16)(const float* scores, float scale, std::int64_t count, std::int64_t width,
                        SoftmaxSums* sums, std::uint16_t* out);
  /// Only the sums, including `weighted`.
  void (*softmax_sums)(const float* logits, std::int64_t count, SoftmaxSums* sums);
  void (*softmax_sums_weighted)(const float* logits, std::int64_t count, SoftmaxSums* sums);
  bool (*any_above)(const float* x, const float* limits, std::int64_t count);
  float (*dot)(const float* a, const float* b, std::int64_t count);
  /// x += factor * y.
  void (*add_scaled)(float* x, const float* y, float factor, std::int64_t count);
};

/// Those compiled for a set, which this CPU may lack: row_kernels.cc.
template <InstructionSet set>
const RowKernels& row_kernels_for();
template <>
const RowKernels& row_kernels_for<InstructionSet::kPortable>();
template <>
const RowKernels& row_kernels_for<InstructionSet::kAvx2>();
template <>
const RowKernels& row_kernels_for<InstructionSet::kAvx512>();

/// For this CPU.
inline const RowKernels& row_kernels() {
  return for_instruction_set(
      []<InstructionSet set>() -> const RowKernels& { return row_kernels_for<set>(); });
}

}  // namespace unroll
