// Compiled once for each instruction set, see CMakeLists.txt: UNROLL_ROW_KERNELS is the table's name there.
#include "model/cpu/row_kernels.h"

namespace unroll {
namespace {

#define UNROLL_INLINE inline __attribute__((always_inline))

/// 2^x, 2^-126 at least, within `Terms` terms of its Taylor series around the nearest integer: 7 leave 2e-7
/// of it, 5 leave 5e-5, less than bf16 can tell.
template <int Terms>
UNROLL_INLINE float power_of_two(float x) {
  constexpr float kTaylor[] = {
      1.0F,           6.931471806e-1F, 2.402265070e-1F, 5.550410866e-2F, 9.618129108e-3F, 1.333355815e-3F,
      1.540353039e-4F};
  // A sum with 1.5 * 2^23 has the nearest integer in its last bits. A conversion would have no value for NaN.
  constexpr float kShift = 12582912.0F;
  const float clamped = x < -126.0F ? -126.0F : x;
  const float shifted = clamped + kShift;
  const float f = clamped - (shifted - kShift);
  float p = kTaylor[Terms - 1];
#pragma GCC unroll 7
  for (int i = Terms - 2; i >= 0; --i) p = p * f + kTaylor[i];
  const auto exponent = __builtin_bit_cast(std::uint32_t, shifted) << 23;
  return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, p) + exponent);
}

constexpr float kLog2OfE = 1.44269504F;

UNROLL_INLINE float exponential(float x) {
  return power_of_two<7>(x * kLog2OfE);
}

UNROLL_INLINE float error_function(float x) {
  const float size = __builtin_fabsf(x);
  const float t = 1.0F / (1.0F + 0.3275911F * size);
  const float p =
      ((((1.061405429F * t - 1.453152027F) * t + 1.421413741F) * t - 0.284496736F) * t + 0.254829592F) * t;
  return __builtin_copysignf(1.0F - p * exponential(-size * size), x);
}

UNROLL_INLINE std::uint16_t bf16(float x) {  // to nearest, ties to even; NaN does not come here
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

UNROLL_INLINE float largest(const float* x, std::int64_t count, float least) {
  float max = least;
#pragma omp simd reduction(max : max)
  for (std::int64_t i = 0; i < count; ++i) max = x[i] > max ? x[i] : max;
  return max;
}

void layer_norm(const float* x, const float* gamma, const float* beta, std::int64_t count, float* out) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(count);
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < count; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0F / __builtin_sqrtf(squares / static_cast<float>(count) + 1e-5F);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) out[i] = (x[i] - mean) * factor * gamma[i] + beta[i];
}

void unit_length(float* x, const float* scale, std::int64_t count) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < count; ++i) squares += x[i] * x[i];
  const float length = __builtin_sqrtf(squares);
  const float factor = 1.0F / (length < 1e-12F ? 1e-12F : length);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) x[i] *= factor * scale[i];
}

void rotate(float* x, const float* cosine, const float* sine, std::int64_t count) {
  const std::int64_t half = count / 2;
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float first = x[i], second = x[half + i];
    x[i] = first * cosine[i] - second * sine[i];
    x[half + i] = second * cosine[half + i] + first * sine[half + i];
  }
}

void gelu_gate(const float* values, const float* gates, std::int64_t count, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float gate = gates[i];
    out[i] = 0.5F * gate * (1.0F + error_function(gate * 0.70710678F)) * values[i];
  }
}

void add(float* x, const float* branch, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) x[i] += branch[i];
}

void blend(float* x, const float* branch, const float* share, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) x[i] += share[i] * (branch[i] - x[i]);
}

void scale(const float* x, float factor, std::int64_t count, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) out[i] = x[i] * factor;
}

void to_bf16(const float* x, std::int64_t count, std::uint16_t* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) out[i] = bf16(x[i]);
}

float to_uint8(const float* x, std::int64_t count, std::uint8_t* out) {
  float max = 0;
#pragma omp simd reduction(max : max)
  for (std::int64_t i = 0; i < count; ++i) {
    const float size = __builtin_fabsf(x[i]);
    max = size > max ? size : max;
  }
  const float factor = max > 0 ? 127.0F / max : 0.0F;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(x[i] * factor + 128.5F));
  return max / 127.0F;
}

void from_int32(const std::int32_t* sums, const std::int32_t* offsets, const float* scales, float factor,
                std::int64_t count, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(sums[i] - offsets[i]) * scales[i] * factor;
}

/// How far the maximum moves for these scores, and the factor for what was summed up to the old one.
UNROLL_INLINE float move_max(const float* scores, float scale, std::int64_t count, SoftmaxSums* sums) {
  const float before = sums->max;
  const float here = scale * largest(scores, count, -__builtin_inff());  // scale is positive
  if (here <= before) return 1.0F;
  sums->max = here;
  return exponential(before - here);
}

template <int Terms, typename Number, typename Convert>
UNROLL_INLINE float softmax(const float* scores, float scale, std::int64_t count, std::int64_t width,
                            SoftmaxSums* sums, Number* out, Convert convert) {
  for (std::int64_t i = count; i < width; ++i) out[i] = 0;
  if (count == 0) return 1.0F;
  const float factor = move_max(scores, scale, count, sums);
  const float max = sums->max * kLog2OfE, factor_of_two = scale * kLog2OfE;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    const float e = power_of_two<Terms>(factor_of_two * scores[i] - max);
    sum += e;
    out[i] = convert(e);
  }
  sums->sum = sums->sum * factor + sum;
  return factor;
}

float softmax_fp32(const float* scores, float scale, std::int64_t count, std::int64_t width,
                   SoftmaxSums* sums, float* out) {
  return softmax<7>(
      scores, scale, count, width, sums, out, [](float x) __attribute__((always_inline)) { return x; });
}

float softmax_bf16(const float* scores, float scale, std::int64_t count, std::int64_t width,
                   SoftmaxSums* sums, std::uint16_t* out) {
  // Ties go up: there are none to speak of, and this is a third of the work of a tie to even.
  const auto round = [](float x) __attribute__((always_inline)) {
    return static_cast<std::uint16_t>((__builtin_bit_cast(std::uint32_t, x) + 0x8000U) >> 16);
  };
  return softmax<5>(scores, scale, count, width, sums, out, round);
}

void softmax_sums(const float* logits, std::int64_t count, SoftmaxSums* sums) {
  const float factor = move_max(logits, 1.0F, count, sums);
  const float max = sums->max;
  float sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
  for (std::int64_t i = 0; i < count; ++i) {
    const float e = exponential(logits[i] - max);
    sum += e;
    weighted += e * logits[i];
  }
  sums->sum = sums->sum * factor + sum;
  sums->weighted = sums->weighted * factor + weighted;
}

bool any_above(const float* x, const float* limits, std::int64_t count) {
  int above = 0;
#pragma omp simd reduction(| : above)
  for (std::int64_t i = 0; i < count; ++i) above |= x[i] > limits[i];
  return above != 0;
}

float dot(const float* a, const float* b, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(float* x, const float* y, float factor, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) x[i] += factor * y[i];
}

}  // namespace

extern const RowKernels UNROLL_ROW_KERNELS;
const RowKernels UNROLL_ROW_KERNELS{
    layer_norm, unit_length, rotate,       gelu_gate,    add,          blend,     scale, to_bf16,
    to_uint8,   from_int32,  softmax_fp32, softmax_bf16, softmax_sums, any_above, dot,   add_scaled};

}  // namespace unroll
