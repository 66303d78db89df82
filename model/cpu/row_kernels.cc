// Compiled once per instruction set (cmake/instruction_sets.cmake).
#include "model/cpu/row_kernels.h"

#include <utility>

#include "model/cpu/lanes.h"

namespace unroll {
namespace {

UNROLL_INLINE float exponential(float x) {
  return power_of_two<6>(x * kLog2OfE);
}

UNROLL_INLINE float error_function(float x) {
  const float size = __builtin_fabsf(x);
  const float t = 1.0F / (1.0F + 0.3275911F * size);
  const float p =
      ((((1.061405429F * t - 1.453152027F) * t + 1.421413741F) * t - 0.284496736F) * t + 0.254829592F) * t;
  return __builtin_copysignf(1.0F - p * exponential(-size * size), x);
}

UNROLL_INLINE std::uint16_t bf16(float x) {  // to nearest, ties to even; x must not be NaN
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

void layer_norm(const float* x, const float* gamma, const float* beta, std::int64_t count, float* out) {
  const float sum = sum_over(x, count, [](Floats lanes) UNROLL_INLINE_LAMBDA { return lanes; });
  const float mean = sum / static_cast<float>(count);
  const float squares =
      sum_over(x, count, [&](Floats lanes) UNROLL_INLINE_LAMBDA { return (lanes - mean) * (lanes - mean); });
  const float factor = 1.0F / __builtin_sqrtf(squares / static_cast<float>(count) + 1e-5F);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) out[i] = (x[i] - mean) * factor * gamma[i] + beta[i];
}

void rms_norm(const float* x, const float* gamma, float epsilon, std::int64_t count, float* out) {
  const float squares = sum_over(x, count, [](Floats lanes) UNROLL_INLINE_LAMBDA { return lanes * lanes; });
  const float factor = 1.0F / __builtin_sqrtf(squares / static_cast<float>(count) + epsilon);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) out[i] = x[i] * factor * gamma[i];
}

void unit_length(float* x, const float* scale, std::int64_t count) {
  const float squares = sum_over(x, count, [](Floats lanes) UNROLL_INLINE_LAMBDA { return lanes * lanes; });
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

template <int Stride, int... Lane>
UNROLL_INLINE Floats butterfly(Floats x, std::integer_sequence<int, Lane...>) {
  const Floats signs{(Lane & Stride ? -1.0F : 1.0F)...};
  return __builtin_shufflevector(x, x, (Lane ^ Stride)...) + x * signs;
}

/// Replaces lanes i and i + Stride with their sum and difference, then does the same with smaller strides.
template <int Stride>
UNROLL_INLINE Floats butterflies(Floats x) {
  if constexpr (Stride == 0) {
    return x;
  } else {
    return butterflies<Stride / 2>(butterfly<Stride>(x, std::make_integer_sequence<int, kLanes>()));
  }
}

void hadamard(const float* x, std::int64_t count, float* out) {
  constexpr int kVectors = kHadamard / kLanes;
  constexpr float kScale = 0.125F;  // 1 / sqrt(64)
  for (std::int64_t begin = 0; begin < count; begin += kHadamard) {
    Floats block[kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) {
      const auto left = count - begin - i * kLanes;
      block[i] = left >= kLanes ? lanes_at(x + begin + i * kLanes)
                 : left > 0 ? lanes_at(x + begin + i * kLanes, first_lanes(static_cast<std::int32_t>(left)))
                            : Floats{};
    }
#pragma GCC unroll 4
    for (int stride = 1; stride < kVectors; stride *= 2) {
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i) {
        if (i & stride) continue;
        const Floats a = block[i], b = block[i + stride];
        block[i] = a + b;
        block[i + stride] = a - b;
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i)
      store(butterflies<kLanes / 2>(block[i]) * kScale, out + begin + i * kLanes);
  }
}

void gelu_gate(const float* values, const float* gates, std::int64_t count, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float gate = gates[i];
    out[i] = 0.5F * gate * (1.0F + error_function(gate * 0.70710678F)) * values[i];
  }
}

void silu_gate(const float* values, const float* gates, std::int64_t count, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float gate = gates[i];
    const float e = exponential(-__builtin_fabsf(gate));  // at most 1, however large the gate is
    out[i] = (gate < 0.0F ? e : 1.0F) / (1.0F + e) * gate * values[i];
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

void round_to_bf16(float* x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    x[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(bf16(x[i])) << 16);
}

void from_bf16(const std::uint16_t* x, std::int64_t count, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    out[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(x[i]) << 16);
}

float to_uint8(const float* x, std::int64_t count, std::uint8_t* out) {
  Floats largest[4] = {};
  each_lanes(x, count, [&](std::int64_t, int turn, Floats lanes, auto which) UNROLL_INLINE_LAMBDA {
    largest[turn] = larger(largest[turn], only(which, larger(lanes, -lanes), 0));
  });
  const float max = largest_of(largest);
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

/// Raises the maximum to that of `scores` times `scale` (> 0), rounded up to a whole power of two. Returns
/// the factor by which earlier sums must be multiplied.
UNROLL_INLINE float move_max(const float* scores, float scale, std::int64_t count, SoftmaxSums* sums) {
  Floats max[4] = {Floats{} - kInfinity, Floats{} - kInfinity, Floats{} - kInfinity, Floats{} - kInfinity};
  each_lanes(scores, count, [&](std::int64_t, int turn, Floats lanes, auto which) UNROLL_INLINE_LAMBDA {
    max[turn] = larger(max[turn], only(which, lanes, -kInfinity));
  });
  const float here = __builtin_ceilf(scale * kLog2OfE * largest_of(max));
  const float before = sums->max;
  if (here <= before) return 1.0F;
  sums->max = here;
  return power_of_two<6>(before - here);
}

template <int Terms, typename Number>
UNROLL_INLINE float softmax(const float* scores, float scale, std::int64_t count, std::int64_t width,
                            SoftmaxSums* sums, Number* out) {
  for (auto i = (count + kLanes - 1) / kLanes * kLanes; i < width; ++i) out[i] = 0;
  if (count == 0) return 1.0F;
  const float factor = move_max(scores, scale, count, sums);
  const float max = sums->max, factor_of_two = scale * kLog2OfE;
  Floats sum[4] = {};
  each_lanes(scores, count, [&](std::int64_t i, int turn, Floats lanes, auto which) UNROLL_INLINE_LAMBDA {
    const Floats e = only(which, power_of_two<Terms>(factor_of_two * lanes - max), 0);
    sum[turn] += e;
    store(e, out + i);
  });
  sums->sum = sums->sum * factor + sum_of(sum);
  return factor;
}

float softmax_fp32(const float* scores, float scale, std::int64_t count, std::int64_t width,
                   SoftmaxSums* sums, float* out) {
  return softmax<6>(scores, scale, count, width, sums, out);
}

float softmax_bf16(const float* scores, float scale, std::int64_t count, std::int64_t width,
                   SoftmaxSums* sums, std::uint16_t* out) {
  return softmax<4>(scores, scale, count, width, sums, out);
}

template <bool Entropy>
void softmax_sums(const float* logits, std::int64_t count, SoftmaxSums* sums) {
  const float factor = move_max(logits, 1.0F, count, sums);
  const float max = sums->max;
  Floats sum[4] = {}, weighted[4] = {};
  each_lanes(logits, count, [&](std::int64_t, int turn, Floats lanes, auto which) UNROLL_INLINE_LAMBDA {
    const Floats e = only(which, power_of_two<6>(kLog2OfE * lanes - max), 0);
    sum[turn] += e;
    if (Entropy) weighted[turn] += e * only(which, lanes, 0);
  });
  sums->sum = sums->sum * factor + sum_of(sum);
  if (Entropy) sums->weighted = sums->weighted * factor + sum_of(weighted);
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

template <>
const RowKernels& row_kernels_for<InstructionSet::UNROLL_INSTRUCTION_SET>() {
  static constexpr RowKernels kKernels{
      layer_norm,         rms_norm,  unit_length, rotate,       gelu_gate,    hadamard,
      silu_gate,          add,       blend,       scale,        to_bf16,      round_to_bf16,
      from_bf16,          to_uint8,  from_int32,  softmax_fp32, softmax_bf16, softmax_sums<false>,
      softmax_sums<true>, any_above, dot,         add_scaled};
  return kKernels;
}

}  // namespace unroll
