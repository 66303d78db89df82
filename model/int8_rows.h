// A matrix as int8 numbers with one scale for each row. Internal to model/.
#pragma once

#include <ATen/ATen.h>

namespace unroll {

inline constexpr double kInt8Max = 127;

struct Int8Rows {
  at::Tensor numbers;  ///< [rows, columns] fp32: whole numbers from -127 to 127.
  at::Tensor scale;    ///< [rows] fp32: a row is its numbers times its scale.
};

/// The nearest to `matrix`, [rows, columns] fp32.
inline Int8Rows int8_rows(const at::Tensor& matrix) {
  // A row of zeros may have any scale but zero.
  const auto scale = matrix.abs().amax(1).div(kInt8Max).clamp_min(1e-30);
  return {matrix.div(scale.unsqueeze(1)).round().clamp(-kInt8Max, kInt8Max), scale};
}

}  // namespace unroll
