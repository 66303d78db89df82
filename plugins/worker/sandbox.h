// What a worker gives up before it loads a plugin. Its own shared library, so that a worker in Python can
// load it, too; linked into the worker for C and C++.
#pragma once

#include <cstdint>

/// For the whole process and for good: limits on memory (0: none) and on open files, no core, killed with the
/// thread that started it, no sight of $UNROLL_SANDBOX_HIDDEN nor of other processes (landlock.h), and the
/// system calls of a computation alone. `permissions`: wire.h. Returns 0 or an errno.
extern "C" __attribute__((visibility("default"))) int unroll_sandbox_enter(std::uint32_t permissions,
                                                                           std::uint64_t memory_bytes);
