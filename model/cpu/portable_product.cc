#include "model/cpu/lanes.h"
#include "model/cpu/tile_product.h"

namespace unroll {
namespace {

struct Operands {
  const float *a, *b;
  float* c;
  std::int64_t depth, stride_a, stride_b, stride_c;
  bool add;
};

/// Rows by Vectors * kLanes sums, which stay in registers.
template <int Rows, int Vectors>
UNROLL_INLINE void block(const Operands& of, std::int64_t row, std::int64_t column) {
  Floats sums[Rows][Vectors];
  auto* c = of.c + row * of.stride_c + column;
#pragma GCC unroll 4
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j)
      sums[i][j] = of.add ? lanes_at(c + i * of.stride_c + j * kLanes) : Floats{};
  const auto *a = of.a + row * of.stride_a, *b = of.b + column;
  for (std::int64_t k = 0; k < of.depth; ++k, b += of.stride_b) {
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) {
      const Floats right = lanes_at(b + j * kLanes);
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i) sums[i][j] += a[i * of.stride_a + k] * right;
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vectors; ++j) store(sums[i][j], c + i * of.stride_c + j * kLanes);
}

/// The same in columns that fill no vector.
void column_of(const Operands& of, std::int64_t rows, std::int64_t column) {
  for (std::int64_t row = 0; row < rows; ++row) {
    auto& c = of.c[row * of.stride_c + column];
    float sum = of.add ? c : 0.0F;
    for (std::int64_t k = 0; k < of.depth; ++k)
      sum += of.a[row * of.stride_a + k] * of.b[k * of.stride_b + column];
    c = sum;
  }
}

template <int Vectors>
void columns_of(const Operands& of, std::int64_t rows, std::int64_t column) {
  constexpr int kRows = 4;
  std::int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) block<kRows, Vectors>(of, row, column);
  for (; row < rows; ++row) block<1, Vectors>(of, row, column);
}

}  // namespace

void portable_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t stride_a,
                      std::int64_t stride_b, std::int64_t stride_c, bool add, const float* a, const float* b,
                      float* c) {
  constexpr int kVectors = 4;
  const Operands of{a, b, c, depth, stride_a, stride_b, stride_c, add};
  std::int64_t column = 0;
  for (; column + kVectors * kLanes <= columns; column += kVectors * kLanes)
    columns_of<kVectors>(of, rows, column);
  for (; column + kLanes <= columns; column += kLanes) columns_of<1>(of, rows, column);
  for (; column < columns; ++column) column_of(of, rows, column);
}

}  // namespace unroll
