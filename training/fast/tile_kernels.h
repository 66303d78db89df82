// The loops that matrix products leave to a training step. All work on tiles: 64 positions side by side,
// feature after feature, x[feature * 64 + position], so that norms, rotations, softmax and their derivatives
// go along vectors and never across one. Compiled once for AVX-512 and once for AVX2 from tile_kernels.cc,
// chosen when the program runs. Plain pointers, so that nothing of the standard library is compiled for a CPU
// that may not be there.
#pragma once

#include <cstdint>

namespace unroll {

constexpr std::int64_t kTileRows = 64;

/// `Number` is what products multiply: float, or std::uint16_t for bf16. A product's left side is plain rows
/// of numbers; its right side, [depth, 64], has neighbouring rows of bf16 interleaved: [depth / 2, 64, 2],
/// with a row of zeros if depth is odd.
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

  /// GEGLU of `features` values and their gates. Keeps both for the way back; `out` is a right side.
  void (*gelu_gate)(const float* values, const float* gates, std::int64_t features, Number* kept_values,
                    Number* kept_gates, Number* out);
  /// From d out: d values and d gates, each as a left side with `stride` and as a right side; and out again.
  void (*gelu_gate_back)(const Number* values, const Number* gates, const float* d_out, std::int64_t features,
                         std::int64_t stride, Number* d_values, Number* d_gates, Number* d_value_pairs,
                         Number* d_gate_pairs, float* out);

  /// The next `keys` of a softmax over keys: scores[key * 64 + query], to be multiplied by `factor`, come out
  /// as powers of two below `max`, as a right side. Query i sees key j if i >= j + diagonal. `correction`:
  /// what earlier results are to be multiplied by. max, sum, correction: [64].
  void (*softmax)(float* scores, std::int64_t keys, float factor, std::int64_t diagonal, float* max,
                  float* sum, float* correction, Number* out);
  /// The derivative: p = 2^(factor * scores - lse) as a left side; ds = scale * p * (dp - delta) as a left
  /// side and as a right side. lse, delta: [64].
  void (*softmax_back)(const float* scores, const float* dp, std::int64_t keys, float factor, float scale,
                       std::int64_t diagonal, const float* lse, const float* delta, Number* p, Number* ds,
                       Number* ds_pairs);
  /// Of logits [count * 64]: d = weight * (2^(factor * logit - lse) - (target is it)), as a left side with
  /// `stride` and as a right side. Targets count from the first logit; those outside have no part.
  void (*cross_entropy_back)(const float* logits, std::int64_t count, const float* lse, const float* weight,
                             const std::int64_t* targets, std::int64_t stride, Number* d, Number* d_pairs);
};

/// What does not depend on what products multiply.
struct TileLoops {
  /// out = (x - mean) / deviation * gamma. stats: [2, 64], mean and 1 / deviation.
  void (*layer_norm)(const float* x, const float* gamma, std::int64_t features, float* stats, float* out);
  /// Adds to dx [features, 64] and to d_gamma [features]. `normed`, if given: layer_norm's out again.
  void (*layer_norm_back)(const float* x, const float* stats, const float* gamma, const float* d_out,
                          std::int64_t features, float* dx, float* d_gamma, float* normed);
  /// A head's queries or keys: of unit length times `scale` (null: as they are), then rotated (cosine and
  /// sine of feature f at [f * stride]; null: not).
  void (*ready)(const float* x, const float* scale, const float* cosine, const float* sine,
                std::int64_t stride, std::int64_t features, float* out);
  /// From d_out, which it changes, to dx; adds to d_scale [features].
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
  /// The sums of a softmax over `count` more logits, by powers of two: max and sum [64].
  void (*softmax_sums)(const float* logits, std::int64_t count, float* max, float* sum);
  void (*to_bf16)(const float* x, std::int64_t count, std::uint16_t* out);
};

/// For this CPU; null if it has no AVX2.
template <typename Number>
const TileKernels<Number>* tile_kernels();
const TileLoops* tile_loops();

}  // namespace unroll
