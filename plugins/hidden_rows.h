// Hidden states as plugins see them: rows of floats, borrowed for a call.
#pragma once

#include <array>
#include <cstdint>

#include "unroll/plugin.h"

namespace unroll {

/// `rows` of [shape[0], shape[1]], contiguous, in main memory. The tensor refers to both.
inline unroll_tensor hidden_rows(const float* rows, std::array<std::int64_t, 2>& shape) {
  unroll_tensor tensor{};
  tensor.data = const_cast<float*>(rows);  // DLPack has no const; the header declares it as borrowed.
  tensor.device_type = 1;                  // kDLCPU
  tensor.ndim = 2;
  tensor.dtype_code = 2;  // kDLFloat
  tensor.dtype_bits = 32;
  tensor.dtype_lanes = 1;
  tensor.shape = shape.data();
  return tensor;
}

}  // namespace unroll
