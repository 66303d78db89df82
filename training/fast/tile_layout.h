// Tiles of [feature, kTileRows] as the kernels hold them: loads and stores of whole vectors, and the layouts
// that the products read (tile_kernels.h says which). Included by a file that is compiled once per
// instruction set, so no name here may have external linkage.
#pragma once

#include "model/cpu/lanes.h"
#include "training/fast/tile_kernels.h"

namespace unroll {
namespace {

using Half = std::uint16_t;
constexpr std::int64_t kRow = kTileRows;
constexpr int kParts = kRow / kLanes;  // vectors of a feature's positions

typedef BitsOf<Floats>::Type Bits;
typedef Half Halves __attribute__((vector_size(kLanes * 2)));

UNROLL_INLINE Floats all(float x) {
  return Floats{} + x;
}
UNROLL_INLINE Floats load(const float* x) {
  return lanes_at(x);
}
UNROLL_INLINE Floats load(const Half* x) {
  Halves halves;
  __builtin_memcpy(&halves, x, sizeof halves);
  return __builtin_bit_cast(Floats, __builtin_convertvector(halves, Bits) << 16);
}
/// x where lane + `first` is at least `limit`, else `otherwise`.
UNROLL_INLINE Floats from_lane(std::int64_t first, std::int64_t limit, Floats x, float otherwise) {
  Ints lane;
  for (std::int32_t i = 0; i < kLanes; ++i) lane[i] = i;
  const auto least = limit - first;
  const auto bound = static_cast<std::int32_t>(least < 0 ? 0 : least > kLanes ? kLanes : least);
  return lane >= bound ? x : all(otherwise);
}

/// Two neighbouring rows of a right side.
UNROLL_INLINE void store_pair(Floats first, Floats second, Half* out) {
  const auto low = (__builtin_bit_cast(Bits, first) + 0x8000U) >> 16;
  const auto high = (__builtin_bit_cast(Bits, second) + 0x8000U) & 0xffff0000U;
  const Bits both = low | high;
  __builtin_memcpy(out, &both, sizeof both);
}
UNROLL_INLINE void store_pair(Floats first, Floats second, float* out) {
  store(first, out);
  store(second, out + kRow);
}
/// Address of the pair that begins with row f, position c. For fp32 a pair is two rows.
UNROLL_INLINE std::int64_t pair_at(std::int64_t f, std::int64_t c, const Half*) {
  return f * kRow + 2 * c;
}
UNROLL_INLINE std::int64_t pair_at(std::int64_t f, std::int64_t c, const float*) {
  return f * kRow + c;
}
/// The last row of an odd number of rows: bf16 needs a second one, fp32 has no room for it.
UNROLL_INLINE void store_last(Floats row, Half* out) {
  store_pair(row, Floats{}, out);
}
UNROLL_INLINE void store_last(Floats row, float* out) {
  store(row, out);
}

template <typename Number>
void pairs(const float* x, std::int64_t features, Number* out) {
  std::int64_t f = 0;
  for (; f + 2 <= features; f += 2)
    for (int c = 0; c < kRow; c += kLanes)
      store_pair(load(x + f * kRow + c), load(x + (f + 1) * kRow + c), out + pair_at(f, c, out));
  if (f < features)
    for (int c = 0; c < kRow; c += kLanes) store_last(load(x + f * kRow + c), out + pair_at(f, c, out));
}

template <typename Number>
void plain(const float* x, std::int64_t features, std::int64_t stride, Number* out) {
  for (std::int64_t f = 0; f < features; ++f)
    for (int c = 0; c < kRow; c += kLanes) store(load(x + f * kRow + c), out + f * stride + c);
}

/// Each stage interleaves a row with the one half the square further on: after as many stages as an index has
/// bits, rows are columns.
UNROLL_INLINE void transpose(Floats (&rows)[kLanes]) {
  typedef std::int32_t Index __attribute__((vector_size(kLanes * 4)));
  Index low, high;
  for (std::int32_t i = 0; i < kLanes; ++i) {
    low[i] = i / 2 + (i % 2) * static_cast<std::int32_t>(kLanes);
    high[i] = low[i] + static_cast<std::int32_t>(kLanes) / 2;
  }
#pragma GCC unroll 4
  for (int stage = 1; stage < kLanes; stage *= 2) {
    Floats next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
#ifdef __clang__
      for (int j = 0; j < kLanes; ++j) {
        next[2 * i][j] = j % 2 ? rows[i + kLanes / 2][j / 2] : rows[i][j / 2];
        next[2 * i + 1][j] = j % 2 ? rows[i + kLanes / 2][kLanes / 2 + j / 2] : rows[i][kLanes / 2 + j / 2];
      }
#else
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + kLanes / 2], low);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + kLanes / 2], high);
#endif
    }
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

UNROLL_INLINE std::int64_t least(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

void row_pairs(const float* x, std::int64_t features, std::int64_t panel_stride, float* out) {
  for (std::int64_t f = 0; f < features; f += kLanes) {
    auto* to = out + f / kRow * panel_stride + f % kRow;
    for (std::int64_t c = 0; c < kRow; c += kLanes) {
      Floats square[kLanes];
      for (int i = 0; i < kLanes; ++i) square[i] = f + i < features ? load(x + (f + i) * kRow + c) : Floats{};
      transpose(square);
      for (int i = 0; i < kLanes; ++i) store(square[i], to + (c + i) * kRow);
    }
  }
}

void row_pairs(const float* x, std::int64_t features, std::int64_t panel_stride, Half* out) {
  for (std::int64_t f = 0; f < features; f += kLanes) {
    auto* to = out + f / kRow * panel_stride + f % kRow * 2;
    Half narrow[kLanes][kRow];
    for (int i = 0; i < kLanes; ++i)
      for (int c = 0; c < kRow; c += kLanes)
        store(f + i < features ? load(x + (f + i) * kRow + c) : Floats{}, narrow[i] + c);
    for (std::int64_t c = 0; c < kRow; c += 2 * kLanes) {  // two positions are one 32-bit number
      Floats square[kLanes];
      for (int i = 0; i < kLanes; ++i) __builtin_memcpy(&square[i], narrow[i] + c, sizeof(Floats));
      transpose(square);
      for (int i = 0; i < kLanes; ++i)
        __builtin_memcpy(to + (c / 2 + i) * 2 * kRow, &square[i], sizeof(Floats));
    }
  }
}

/// The first `count` lanes.
template <typename Number>
UNROLL_INLINE void store_some(Floats lanes, std::int64_t count, Number* out) {
  if (count >= kLanes) {
    store(lanes, out);
    return;
  }
  Number whole[kLanes];
  store(lanes, whole);
  for (std::int64_t i = 0; i < count; ++i) out[i] = whole[i];
}

template <typename Number>
void rows(const float* x, std::int64_t features, std::int64_t count, std::int64_t stride, Number* out) {
  for (std::int64_t f = 0; f < features; f += kLanes) {
    for (std::int64_t c = 0; c < count; c += kLanes) {
      Floats square[kLanes];
      for (int i = 0; i < kLanes; ++i) square[i] = f + i < features ? load(x + (f + i) * kRow + c) : Floats{};
      transpose(square);
      for (std::int64_t i = 0; i < least(kLanes, count - c); ++i)
        store_some(square[i], features - f, out + (c + i) * stride + f);
    }
  }
}

void tile(const float* x, std::int64_t features, std::int64_t count, std::int64_t stride, float* out) {
  for (std::int64_t f = 0; f < features; f += kLanes) {
    const auto which = first_lanes(static_cast<std::int32_t>(least(kLanes, features - f)));
    for (std::int64_t c = 0; c < kRow; c += kLanes) {
      Floats square[kLanes];
      for (int i = 0; i < kLanes; ++i)
        square[i] = c + i < count ? lanes_at(x + (c + i) * stride + f, which) : Floats{};
      transpose(square);
      for (std::int64_t i = 0; i < least(kLanes, features - f); ++i)
        store(square[i], out + (f + i) * kRow + c);
    }
  }
}

}  // namespace
}  // namespace unroll
