// Byte ranges of tokens whose text was changed by normalisation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace unroll {

/// `ends` are the ends of tokens in `size` bytes, in rising order. Extends the last one to the end, and gives
/// each token at least one byte, if necessary from a neighbour. There must be as many bytes as tokens.
/// `first_may_be_empty`: the first token may stay without bytes.
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
