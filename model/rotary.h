// Rotary position embedding (Su et al. 2021, arXiv 2104.09864) with xpos scaling (Sun et al. 2022, arXiv
// 2212.10554, section 3): keys are scaled by the inverse of the queries' scale, so that attention decays with
// distance.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace unroll {

/// Tables for a window of `width` positions. A sequence of n positions uses the window's last n, or the n
/// that end `behind` positions before the window's end.
class RotaryTables {
 public:
  RotaryTables(std::int64_t dim_head, std::int64_t width, at::Device device);
  /// Rotates and scales `queries` [..., length, dim_head].
  at::Tensor rotate_queries(const at::Tensor& queries, std::int64_t behind = 0) const {
    return rotate(queries, query_cos_, query_sin_, behind);
  }
  at::Tensor rotate_keys(const at::Tensor& keys, std::int64_t behind = 0) const {
    return rotate(keys, key_cos_, key_sin_, behind);
  }
  /// [width, dim_head], scale included: cosines and sines that rotate the queries, or the keys, of each
  /// position.
  struct Tables {
    at::Tensor cosine, sine;
  };
  Tables query_tables() const { return {query_cos_, query_sin_}; }
  Tables key_tables() const { return {key_cos_, key_sin_}; }

 private:
  static at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                           std::int64_t behind);
  at::Tensor query_cos_, query_sin_, key_cos_, key_sin_;
};

}  // namespace unroll
