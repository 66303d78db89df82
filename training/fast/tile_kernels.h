// The loops of a training step other than matrix products. All work on tiles of 64 positions, stored by
// feature, x[feature * 64 + position], so that norms, rotations, softmax and their derivatives work along
// vectors. Compiled once for each instruction set from tile_kernels.cc, and chosen at run time. Plain
// pointers, so that no standard library code is compiled for an instruction set that this CPU may not have.
#pragma once

#include <cstdint>

#include "model/cpu/instruction_set.h"

namespace unroll {

constexpr std::int64_t kTileRows = 64;

/// `Number` is the type that products multiply: float, or std::uint16_t for bf16. A product's left side is
/// plain rows of numbers; its right side, [depth, 64], has neighbouring rows of bf16 interleaved:
/// [depth / 2, 64, 2], with a row of zeros if depth is odd.
template <typename Number>
struct TileKernels {
  /// A tile as the right side of a product.
  void (*pairs)(const float* x, std::int64_t features, Number* out);
  /// A tile as rows of a left side: out[feature * stride + position].
  void (*plain)(const float* x, std::int64_t features, std::int64_t stride, Number* out);
  /// A tile as the right side of a product that sums over positions: panels of 64 features, each [64, 64],
  /// `panel_stride` numbers apart.
  void (*row_pairs)(const float* x, std::int64_t features, std::int64_t panel_stride, Number* out);
  /// A tile's first `rows` positions: out[position * stride + feature].
  void (*rows)(const float* x, std::int64_t features, std::int64_t rows, std::int64_t stride, Number* out);
  /// x[position * stride + feature] -> a tile, zeros from `rows` on.
  void (*tile)(const float* x, std::int64_t features, std::int64_t rows, std::int64_t stride, float* out);

  /// GEGLU of `features` values and their gates. Keeps both for the backward pass; `out` is a right side.
  void (*gelu_gate)(const float* values, const float* gates, std::int64_t features, Number* kept_values,
                    Number* kept_gates, Number* out);
  /// From d out: d values and d gates, each as a left side with `stride` and as a right side. Also out again.
  void (*gelu_gate_back)(const Number* values, const Number* gates, const float* d_out, std::int64_t features,
                         std::int64_t stride, Number* d_values, Number* d_gates, Number* d_value_pairs,
                         Number* d_gate_pairs, float* out);

  /// The next `keys` of a softmax over keys: multiplies scores[key * 64 + query] by `factor` and writes
  /// 2^(score - max) as a right side. Query i attends to key j if i >= j + diagonal. `correction`: the factor
  /// for earlier results. max, sum, correction: [64].
  void (*softmax)(float* scores, std::int64_t keys, float factor, std::int64_t diagonal, float* max,
                  float* sum, float* correction, Number* out);
  /// The derivative: p = 2^(factor * scores - lse) as a left side; ds = scale * p * (dp - delta) as a left
  /// side and as a right side. lse, delta: [64].
  void (*softmax_back)(const float* scores, const float* dp, std::int64_t keys, float factor, float scale,
                       std::int64_t diagonal, const float* lse, const float* delta, Number* p, Number* ds,
                       Number* ds_pairs);
  /// From logits [count * 64]: d = weight * (2^(factor * logit - lse) - (1 if it is the target)), as a left
  /// side with `stride` and as a right side. Targets are relative to the first logit; others are ignored.
  void (*cross_entropy_back)(const float* logits, std::int64_t count, const float* lse, const float* weight,
                             const std::int64_t* targets, std::int64_t stride, Number* d, Number* d_pairs);
};

/// Kernels that do not depend on the type of products.
struct TileLoops {
  /// out = (x - mean) / deviation * gamma. stats: [2, 64], mean and 1 / deviation.
  void (*layer_norm)(const float* x, const float* gamma, std::int64_t features, float* stats, float* out);
  /// Adds to dx [features, 64] and d_gamma [features]. `normed`, if given, gets layer_norm's output again.
  void (*layer_norm_back)(const float* x, const float* stats, const float* gamma, const float* d_out,
                          std::int64_t features, float* dx, float* d_gamma, float* normed);
  /// A head's queries or keys: normalised and multiplied by `scale` (null: unchanged), then rotated (cosine
  /// and sine of feature f at [f * stride]; null: not rotated).
  void (*ready)(const float* x, const float* scale, const float* cosine, const float* sine,
                std::int64_t stride, std::int64_t features, float* out);
  /// From d_out, which it overwrites, to dx; adds to d_scale [features].
  void (*ready_back)(const float* x, const float* scale, const float* cosine, const float* sine,
                     std::int64_t stride, std::int64_t features, float* d_out, float* dx, float* d_scale);
  /// x *= factor[position].
  void (*scale_columns)(float* x, const float* factor, std::int64_t features);
  /// out[position] = the sum over features of a * b.
  void (*dot_columns)(const float* a, const float* b, std::int64_t features, float* out);
  /// out[feature] += the sum over positions.
  void (*sum_positions)(const float* x, std::int64_t features, float* out);
  /// x += y.
  void (*add)(float* x, const float* y, std::int64_t count);
  /// Updates a base-2 softmax with `count` more logits: max and sum [64].
  void (*softmax_sums)(const float* logits, std::int64_t count, float* max, float* sum);
  void (*to_bf16)(const float* x, std::int64_t count, std::uint16_t* out);
};

/// The kernels compiled for one instruction set, which this CPU may lack: tile_kernels.cc.
struct TileTables {
  TileKernels<float> fp32;
  TileKernels<std::uint16_t> bf16;
  TileLoops loops;
};
template <InstructionSet set>
const TileTables& tile_tables_for();
template <>
const TileTables& tile_tables_for<InstructionSet::kPortable>();
template <>
const TileTables& tile_tables_for<InstructionSet::kAvx2>();
template <>
const TileTables& tile_tables_for<InstructionSet::kAvx512>();

/// For this CPU.
inline const TileTables& tile_tables() {
  return for_instruction_set(
      []<InstructionSet set>() -> const TileTables& { return tile_tables_for<set>(); });
}
template <typename Number>
const TileKernels<Number>& tile_kernels() {
  if constexpr (sizeof(Number) == 2) {
    return tile_tables().bf16;
  } else {
    return tile_tables().fp32;
  }
}

}  // namespace unroll
