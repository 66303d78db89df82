// Dynamic position bias: a small network maps the logarithm of a distance to a value for each head's
// attention logits (Wang et al. 2021, arXiv 2108.00154; the logarithm: Liu et al. 2022, arXiv 2111.09883). It
// extends smoothly to distances that training never saw.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace unroll {

struct PositionBias {
  at::Tensor in_weight, in_bias;          // [width, 1], [width]
  at::Tensor middle_weight, middle_bias;  // [width, width], [width]
  at::Tensor out_weight, out_bias;        // [heads, width], [heads]
  /// -> [heads, distances], for distances 0, 1, 2, ...
  at::Tensor by_distance(std::int64_t distances) const;
  /// -> [heads, length, past_length + length] for queries at a sequence's end. Only entries of visible keys
  /// are defined.
  at::Tensor operator()(std::int64_t length, std::int64_t past_length) const;
};

}  // namespace unroll
