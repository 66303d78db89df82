// Rounds sizes up to whole tiles, panels and cache lines.
#pragma once

#include <cstdint>

namespace unroll {

constexpr std::int64_t round_up(std::int64_t count, std::int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

}  // namespace unroll
