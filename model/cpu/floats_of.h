// The data of a contiguous fp32 tensor, for loops over rows: fetch it once before a loop, because each fetch
// is a call into LibTorch.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

namespace unroll {

inline float* data(const at::Tensor& tensor) {
  return tensor.mutable_data_ptr<float>();
}

inline const float* const_data(const at::Tensor& tensor) {
  return tensor.const_data_ptr<float>();
}

/// Null if `tensor` is undefined.
inline const float* floats_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? const_data(tensor) : nullptr;
}
inline const float* const_data(const std::optional<at::Tensor>& tensor) {
  return tensor ? const_data(*tensor) : nullptr;
}

}  // namespace unroll
