// Passes file descriptors over Unix sockets (SCM_RIGHTS, unix(7)).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.h"

namespace unroll {

/// The maximum number of descriptors in one message.
inline constexpr std::size_t kMaxPassedDescriptors = 8;

/// One sendmsg() with `flags` and without SIGPIPE, and its result. The descriptors (0 to
/// kMaxPassedDescriptors) are sent with the first byte; `bytes` may be sent in part.
ssize_t send_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors,
                              int flags = 0);

struct ReceivedDescriptors {
  std::vector<UniqueFd> descriptors;  ///< With close-on-exec set.
  bool cut = false;  ///< Some were dropped: more than kMaxPassedDescriptors, or than this process may open.
};

/// One recvmsg() with `flags`: writes bytes to `buffer` and appends descriptors to `received`. Returns what
/// recvmsg() returns.
ssize_t receive_with_descriptors(int socket, std::span<char> buffer, int flags,
                                 ReceivedDescriptors& received);

}  // namespace unroll
