// Descriptors that travel with bytes over a Unix socket (SCM_RIGHTS, unix(7)).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.h"

namespace unroll {

/// The most descriptors that one message of ours carries.
inline constexpr std::size_t kMaxPassedDescriptors = 8;

/// One sendmsg() with `flags` and without SIGPIPE: the descriptors go with the first of `bytes`, which may be
/// sent in part. Returns what sendmsg() does. At most kMaxPassedDescriptors; none: an ordinary send.
ssize_t send_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors,
                              int flags = 0);

struct ReceivedDescriptors {
  std::vector<UniqueFd> descriptors;  ///< Closed on exec.
  bool cut = false;  ///< More came than kMaxPassedDescriptors, or than this process may open.
};

/// One recvmsg() with `flags`: bytes into `buffer`, descriptors appended to `received`. Returns what
/// recvmsg() does.
ssize_t receive_with_descriptors(int socket, std::span<char> buffer, int flags,
                                 ReceivedDescriptors& received);

}  // namespace unroll
