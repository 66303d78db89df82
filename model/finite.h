// Whether all numbers of a tensor are finite. Internal to model/.
#pragma once

#include <cmath>

#include <ATen/ATen.h>

namespace unroll {

/// Without intermediate tensors: if there is a NaN, it is returned as minimum and maximum.
inline bool all_finite(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return true;
  const auto [least, most] = at::aminmax(tensor);
  return std::isfinite(least.item<float>()) && std::isfinite(most.item<float>());
}

}  // namespace unroll
