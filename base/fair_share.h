// How users share a limit: nobody can use it up for the others, even if many work together.
#pragma once

#include <algorithm>
#include <cstdint>

namespace unroll {

/// Whether a user may have `own` of `limit`, of which all users then have `all`. One half of the limit is for
/// whoever comes first. The other half is for users who have little, at most 1/128 of the limit (or one):
/// whatever others hold, there is room for 64 such users.
constexpr bool is_fair_share(std::uint64_t own, std::uint64_t all, std::uint64_t limit) {
  const auto little = std::max<std::uint64_t>(1, limit / 128);
  return all <= (own <= little ? limit : limit / 2);
}

}  // namespace unroll
