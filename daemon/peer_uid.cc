#include "daemon/peer_uid.h"

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include <netdb.h>
#include <sys/socket.h>

#include "base/error.h"

namespace unroll {
namespace {

constexpr std::uint64_t kAllUids = 4'294'967'295;  // 32 bits without (uid_t)-1, which is not a user

/// The uid that stands for all users outside of the namespace (user_namespaces(7)).
std::uint32_t read_overflow_uid() {
  std::uint32_t uid = 65'534;  // the kernel's default, if /proc/sys is hidden
  std::ifstream("/proc/sys/kernel/overflowuid") >> uid;
  return uid;
}

bool read_uid_map() {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0, known = 0;
  while (map >> inside >> outside >> count) known += count;
  return known >= kAllUids;
}

}  // namespace

bool user_namespace_is_whole() {
  static const bool whole = read_uid_map();
  return whole;
}

std::uint32_t peer_uid(int socket) {
  static const std::uint32_t overflow_uid = read_overflow_uid();
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    throw Error(ErrorCode::kPermission,
                "the kernel does not report the connecting user: " + std::generic_category().message(errno));
  }
  if (peer.uid == overflow_uid && !user_namespace_is_whole()) {
    throw Error(ErrorCode::kPermission,
                "your user has no uid in the daemon's user namespace, so the daemon cannot distinguish you "
                "from other "
                "users; run the daemon without a user namespace (PrivateUsers=no)");
  }
  return peer.uid;
}

std::string peer_address(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(socket, generic, &size) != 0 ||
      ::getnameinfo(generic, size, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  return std::string(host.data()) + " port " + port.data();
}

}  // namespace unroll
