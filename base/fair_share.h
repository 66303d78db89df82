// How users share a limit: nobody can use it up for the others, even if many work together.
#pragma once

#include <algorithm>
#include <cstdint>

namespace unroll {

/// Whether a user may have `own` of `limit`, of which all users then have `all`. Any user may take from the
/// first half of the limit. The second half is kept for users who have at most 1/128 of the limit (or one),
/// so there is always room for 64 of them.
constexpr bool is_fair_share(std::uint64_t own, std::uint64_t all, std::uint64_t limit) {
  const auto little = std::max<std::uint64_t>(1, limit / 128);
  return all <= (own <= little ? limit : limit / 2);
}

}  // namespace unroll
