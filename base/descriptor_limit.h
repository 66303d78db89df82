// How many descriptors a process may open.
#pragma once

#include <sys/resource.h>

namespace unroll {

/// Raises the limit to the hard limit: the soft limit is for programs that use select(2).
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace unroll
