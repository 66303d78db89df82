// The restrictions that a worker enters before it loads a plugin. A shared library for workers in Python;
// linked into the worker for C and C++.
#pragma once

#include <cstdint>

namespace unroll::wire {

/// Bits of the worker's --permissions.
inline constexpr std::uint32_t kMayUseNetwork = 1, kMayWriteFiles = 2, kMayStartProcesses = 4;

}  // namespace unroll::wire

/// Restricts the whole process permanently: limits on memory (0: none) and open files, no core dump, killed
/// with the thread that started it, no access to $UNROLL_SANDBOX_HIDDEN or to other processes (landlock.h),
/// and only the system calls of a computation. `permissions`: kMay... Returns 0 or an errno.
extern "C" __attribute__((visibility("default"))) int unroll_sandbox_enter(std::uint32_t permissions,
                                                                           std::uint64_t memory_bytes);
