// Explicit SIMD for kernels where a plain loop is not fast enough: vectors of as many floats as one
// instruction takes, powers of two, sums and maxima over a row. GCC and clang compile these vector types for
// any CPU; the few operations that they do not compile well for AVX2 and AVX-512 are intrinsics here, and
// nowhere else. Included by files that are compiled once per instruction set (cmake/instruction_sets.cmake),
// so no name here may have external linkage.
#pragma once

#include <cstdint>
#include <utility>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace unroll {
namespace {

#define UNROLL_INLINE inline __attribute__((always_inline))
#define UNROLL_INLINE_LAMBDA __attribute__((always_inline))

// Floats per instruction.
#if defined(__AVX512F__)
constexpr std::int64_t kLanes = 16;
#elif defined(__AVX2__)
constexpr std::int64_t kLanes = 8;
#else
constexpr std::int64_t kLanes = 4;  // NEON, SSE2
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

/// The larger one; NaN if x is NaN.
UNROLL_INLINE float at_least(float least, float x) {
  return x < least ? least : x;
}
UNROLL_INLINE Floats at_least(float least, Floats x) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(0xffff, _mm512_set1_ps(least),
                             x);  // GCC 12 warns about the plain intrinsic's definition
#elif defined(__AVX2__)
  return _mm256_max_ps(_mm256_set1_ps(least), x);
#else
  return x < least ? Floats{} + least : x;
#endif
}

UNROLL_INLINE Floats square_root(Floats x) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(0xffff, x);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#else
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

template <int Terms>
constexpr float kPowerOfTwo[] = {0};
template <>
constexpr float kPowerOfTwo<4>[] = {9.999280735e-1F, 6.932609855e-1F, 2.426111222e-1F, 5.517166906e-2F};
template <>
constexpr float kPowerOfTwo<6>[] = {1.000000072F,    6.931469671e-1F, 2.402211972e-1F,
                                    5.550713273e-2F, 9.675541334e-3F, 1.327647199e-3F};

/// 2^x, at least 2^-126, of one number or a vector, by the polynomial around the nearest integer with the
/// least maximum relative error (from Remez's algorithm): 7.5e-8 with 6 terms; 7.5e-5 with 4 terms, less than
/// bf16 can represent.
template <int Terms, typename Real>
UNROLL_INLINE Real power_of_two(Real x) {
  // The sum with 1.5 * 2^23 has the nearest integer in its last bits. A conversion is undefined for NaN.
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

/// Zeros where the mask is not set: that memory is not read.
UNROLL_INLINE Floats lanes_at(const float* x, Ints mask) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(_mm512_movepi32_mask(__builtin_bit_cast(__m512i, mask)), x);
#elif defined(__AVX2__)
  return _mm256_maskload_ps(x, __builtin_bit_cast(__m256i, mask));
#else
  Floats lanes{};
  for (int i = 0; i < kLanes; ++i)
    if (mask[i]) lanes[i] = x[i];
  return lanes;
#endif
}

UNROLL_INLINE void store(Floats lanes, float* out) {
  __builtin_memcpy(out, &lanes, sizeof lanes);
}

typedef std::uint16_t HalvesOfFloats __attribute__((vector_size(kLanes * 4)));
template <int... Lane>
UNROLL_INLINE auto upper_halves(HalvesOfFloats halves, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(halves, halves, (2 * Lane + 1)...);
}

UNROLL_INLINE void store(Floats lanes, std::uint16_t* out) {
  // Ties round up instead of to even: they are rare, and this is a third of the work.
  const auto bits = __builtin_bit_cast(BitsOf<Floats>::Type, lanes) + 0x8000U;
  const auto upper =
      upper_halves(__builtin_bit_cast(HalvesOfFloats, bits), std::make_integer_sequence<int, kLanes>());
  __builtin_memcpy(out, &upper, sizeof upper);
}

UNROLL_INLINE Floats larger(Floats a, Floats b) {
  return a > b ? a : b;
}

/// Reduces all lanes to one, joining halves repeatedly.
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

/// Calls see(i, turn, lanes from i on, mask of valid lanes). `turn` is 0 to 3: use a sum or maximum per turn,
/// so that none waits for the result of the last.
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

}  // namespace
}  // namespace unroll
