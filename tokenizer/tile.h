// Places of tokens that stand for changed text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace unroll {

/// `ends`, in rising order, are where tokens end in `size` bytes. Gives the last one the end, and each token
/// at least a byte, if need be one of its neighbours'; there must be as many bytes as tokens.
/// `first_may_be_empty`: but the first if it has none.
inline void tile(std::span<std::size_t> ends, std::size_t size, bool first_may_be_empty) {
  std::size_t begin = 0, left = ends.size();
  for (auto& end : ends) {
    const bool may_be_empty = first_may_be_empty && left == ends.size();
    --left;
    begin = std::min(std::max(end, begin + (may_be_empty ? 0 : 1)), size - left);
    end = begin;
  }
  if (!ends.empty()) ends.back() = size;
}

}  // namespace unroll
