// Starts programs that die with this process.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace unroll {

/// Starts `command` (found as a shell finds it) with /dev/null, `output`, `output` and `socket` as
/// descriptors 0 to 3, no others, in a process group of its own. Throws std::system_error.
///
/// Whatever the calling thread, a thread starts it that lives as long as this process: the kernel kills what
/// asked to die with its parent when the parent's *thread* ends.
pid_t spawn(const std::vector<std::string>& command, const std::vector<std::string>& environment, int output,
            int socket);

}  // namespace unroll
