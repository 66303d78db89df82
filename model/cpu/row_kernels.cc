// Compiled once for each instruction set, see CMakeLists.txt: UNROLL_ROW_KERNELS is the table's name there.
#include "model/cpu/row_kernels.h"

#include <immintrin.h>

namespace unroll {
namespace {

#define UNROLL_INLINE inline __attribute__((always_inline))
#define UNROLL_INLINE_LAMBDA __attribute__((always_inline))

// As many numbers as one instruction takes.
#ifdef __AVX512F__
constexpr std::int64_t kLanes = 16;
#else
constexpr std::int64_t kLanes = 8;
#endif
typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));

template <typename Real>
struct BitsOf {
  using Type = std::uint32_t;
};
template <>
struct BitsOf<Floats> {
  typedef std::uint32_t Type __attribute__((vector_size(kLanes * 4)));
};

constexpr float kLog2OfE = 1.44269504F;
constexpr float kInfinity = __builtin_inff();

/// The larger one; NaN where x is that.
UNROLL_INLINE float at_least(float least, float x) {
  return x < least ? least : x;
}
UNROLL_INLINE Floats at_least(float least, Floats x) {
#ifdef __AVX512F__
  return _mm512_maskz_max_ps(0xffff, _mm512_set1_ps(least),
                             x);  // GCC 12 warns of what the plain one is made of
#else
  return _mm256_max_ps(_mm256_set1_ps(least), x);
#endif
}

template <int Terms>
constexpr float kPowerOfTwo[] = {0};
template <>
constexpr float kPowerOfTwo<4>[] = {9.999280735e-1F, 6.932609855e-1F, 2.426111222e-1F, 5.517166906e-2F};
template <>
constexpr float kPowerOfTwo<6>[] = {1.000000072F,    6.931469671e-1F, 2.402211972e-1F,
                                    5.550713273e-2F, 9.675541334e-3F, 1.327647199e-3F};

/// 2^x, 2^-126 at least, of one number or of lanes of them, by the polynomial around the nearest integer
/// whose largest relative error is least (found by Remez's exchange): of 6 terms 7.5e-8, of 4 terms 7.5e-5,
/// less than bf16 can tell.
template <int Terms, typename Real>
UNROLL_INLINE Real power_of_two(Real x) {
  // A sum with 1.5 * 2^23 has the nearest integer in its last bits. A conversion would have no value for NaN.
  constexpr float kShift = 12582912.0F;
  const Real clamped = at_least(-126.0F, x);
  const Real shifted = clamped + kShift;
  const Real f = clamped - (shifted - kShift);
  Real p = Real{} + kPowerOfTwo<Terms>[Terms - 1];
#pragma GCC unroll 6
  for (int i = Terms - 2; i >= 0; --i) p = p * f + kPowerOfTwo<Terms>[i];
  using Bits = typename BitsOf<Real>::Type;
  const auto exponent = __builtin_bit_cast(Bits, shifted) << 23;
  return __builtin_bit_cast(Real, __builtin_bit_cast(Bits, p) + exponent);
}

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

UNROLL_INLINE std::uint16_t bf16(float x) {  // to nearest, ties to even; NaN does not come here
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

UNROLL_INLINE Floats lanes_at(const float* x) {
  Floats lanes;
  __builtin_memcpy(&lanes, x, sizeof lanes);
  return lanes;
}

UNROLL_INLINE Ints first_lanes(std::int32_t count) {
  Ints lane;
  for (std::int32_t i = 0; i < kLanes; ++i) lane[i] = i;
  return lane < count;
}

/// Zeros where the mask is not set: nothing is read there.
UNROLL_INLINE Floats lanes_at(const float* x, Ints mask) {
#ifdef __AVX512F__
  return _mm512_maskz_loadu_ps(_mm512_movepi32_mask(__builtin_bit_cast(__m512i, mask)), x);
#else
  return _mm256_maskload_ps(x, __builtin_bit_cast(__m256i, mask));
#endif
}

UNROLL_INLINE Floats larger(Floats a, Floats b) {
  return a > b ? a : b;
}

/// All lanes into one: each half with the other, down to a single lane.
template <typename Lanes, typename Join>
UNROLL_INLINE float join_lanes(Lanes lanes, const Join& join) {
  if constexpr (sizeof(Lanes) == 16) {
    return join(join(lanes[0], lanes[2]), join(lanes[1], lanes[3]));
  } else {
    typedef float Half __attribute__((vector_size(sizeof(Lanes) / 2)));
    Half halves[2];
    __builtin_memcpy(halves, &lanes, sizeof lanes);
    return join_lanes(join(halves[0], halves[1]), join);
  }
}

UNROLL_INLINE float largest_lane(Floats lanes) {
  return join_lanes(lanes, [](auto a, auto b) UNROLL_INLINE_LAMBDA { return a > b ? a : b; });
}

UNROLL_INLINE float sum_of_lanes(Floats lanes) {
  return join_lanes(lanes, [](auto a, auto b) UNROLL_INLINE_LAMBDA { return a + b; });
}

struct AllLanes {};
UNROLL_INLINE Floats only(AllLanes, Floats lanes, float) {
  return lanes;
}
UNROLL_INLINE Floats only(Ints mask, Floats lanes, float otherwise) {
  return mask ? lanes : Floats{} + otherwise;
}

/// see(i, turn, lanes from i on, which of them count). Turns go from 0 to 3, each with a sum or maximum of
/// its own, so that none waits for the last.
template <typename See>
UNROLL_INLINE void each_lanes(const float* x, std::int64_t count, const See& see) {
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    see(i, 0, lanes_at(x + i), AllLanes{});
    see(i + kLanes, 1, lanes_at(x + i + kLanes), AllLanes{});
    see(i + 2 * kLanes, 2, lanes_at(x + i + 2 * kLanes), AllLanes{});
    see(i + 3 * kLanes, 3, lanes_at(x + i + 3 * kLanes), AllLanes{});
  }
  for (; i + kLanes <= count; i += kLanes) see(i, 0, lanes_at(x + i), AllLanes{});
  if (i == count) return;
  const auto which = first_lanes(static_cast<std::int32_t>(count - i));
  see(i, 1, lanes_at(x + i, which), which);
}

UNROLL_INLINE float sum_of(const Floats (&turns)[4]) {
  return sum_of_lanes((turns[0] + turns[1]) + (turns[2] + turns[3]));
}

UNROLL_INLINE float largest_of(const Floats (&turns)[4]) {
  return largest_lane(larger(larger(turns[0], turns[1]), larger(turns[2], turns[3])));
}

/// The sum of of(lanes) over a row.
template <typename Of>
UNROLL_INLINE float sum_over(const float* x, std::int64_t count, const Of& of) {
  Floats sum[4] = {};
  each_lanes(x, count, [&](std::int64_t, int turn, Floats lanes, auto which) UNROLL_INLINE_LAMBDA {
    sum[turn] += only(which, of(lanes), 0);
  });
  return sum_of(sum);
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

/// How far the maximum moves, up to a whole power of two, for scores that are to be multiplied by `scale` >
/// 0; the factor for what was summed up to the old one.
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

UNROLL_INLINE void store(Floats lanes, float* out) {
  __builtin_memcpy(out, &lanes, sizeof lanes);
}

UNROLL_INLINE void store(Floats lanes, std::uint16_t* out) {
  // Ties go up: there are none to speak of, and this is a third of the work of a tie to even.
  typedef std::uint16_t Halves __attribute__((vector_size(kLanes * 4)));
  const auto bits = __builtin_bit_cast(BitsOf<Floats>::Type, lanes) + 0x8000U;
  const auto halves = __builtin_bit_cast(Halves, bits);
#ifdef __AVX512F__
  const auto upper =
      __builtin_shufflevector(halves, halves, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#else
  const auto upper = __builtin_shufflevector(halves, halves, 1, 3, 5, 7, 9, 11, 13, 15);
#endif
  __builtin_memcpy(out, &upper, sizeof upper);
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

extern const RowKernels UNROLL_ROW_KERNELS;
const RowKernels UNROLL_ROW_KERNELS{layer_norm,
                                    unit_length,
                                    rotate,
                                    gelu_gate,
                                    add,
                                    blend,
                                    scale,
                                    to_bf16,
                                    to_uint8,
                                    from_int32,
                                    softmax_fp32,
                                    softmax_bf16,
                                    softmax_sums<false>,
                                    softmax_sums<true>,
                                    any_above,
                                    dot,
                                    add_scaled};

}  // namespace unroll
