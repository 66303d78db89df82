// A user's file system (FUSE) that never answers one kind of request.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/unique_fd.h"

namespace unroll::test {

/// Requests that it may leave unanswered, by their numbers in the kernel's protocol.
enum class FuseRequest : std::uint32_t { kGetattr = 3, kRead = 15, kFlush = 25 };

/// Mounts one on `folder` in this process, which needs a mount namespace that it may change; a thread serves
/// it for the lifetime of the process. Opens its only file. Throws std::runtime_error.
UniqueFd open_in_silent_file_system(const std::string& folder, FuseRequest silent_to,
                                    const std::string& content);

}  // namespace unroll::test
