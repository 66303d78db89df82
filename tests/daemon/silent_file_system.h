// A file system of a user's own (FUSE) that leaves one kind of request without an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/unique_fd.h"

namespace unroll::test {

/// Requests that it can be silent to, by their numbers in the kernel's protocol.
enum class FuseRequest : std::uint32_t { kGetattr = 3, kRead = 15, kFlush = 25 };

/// Mounts one on `folder` in this process, which needs a mount namespace that it may change; a thread serves
/// it as long as the process lives. Opens the one file that it has. Throws std::runtime_error.
UniqueFd open_in_silent_file_system(const std::string& folder, FuseRequest silent_to,
                                    const std::string& content);

}  // namespace unroll::test
