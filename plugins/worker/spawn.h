// Starts child processes that are killed when this process ends.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace unroll {

/// Starts `command` (searched in PATH) with /dev/null, `output`, `output` and `socket` as descriptors 0 to 3
/// and no others, in a process group of its own. Throws std::system_error.
///
/// The start happens on a thread that exists as long as this process, because the kernel delivers
/// PR_SET_PDEATHSIG when the parent's *thread* ends.
pid_t spawn(const std::vector<std::string>& command, const std::vector<std::string>& environment, int output,
            int socket);

}  // namespace unroll
