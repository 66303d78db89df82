// A descriptor of another process.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace unroll {

/// To poll: readable when the process has ended. Empty on kernels before 5.3. glibc 2.36 does not declare
/// pidfd_open() for C++.
inline UniqueFd process_handle(pid_t process) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

}  // namespace unroll
