// A matrix as int8 numbers with one scale per row. Internal to model/.
#pragma once

#include <ATen/ATen.h>

namespace unroll {

inline constexpr double kInt8Max = 127;

struct Int8Rows {
  at::Tensor numbers;  ///< [rows, columns] fp32: whole numbers from -127 to 127.
  at::Tensor scale;    ///< [rows] fp32: factor for the row's numbers.
};

/// Rounds `matrix` [rows, columns] fp32 to the nearest.
inline Int8Rows int8_rows(const at::Tensor& matrix) {
  // For a row of zeros any scale but zero is right.
  const auto scale = matrix.abs().amax(1).div(kInt8Max).clamp_min(1e-30);
  return {matrix.div(scale.unsqueeze(1)).round().clamp(-kInt8Max, kInt8Max), scale};
}

}  // namespace unroll
