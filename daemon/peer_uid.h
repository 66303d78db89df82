// Which user is at the other end of a connection.
#pragma once

#include <cstdint>

namespace unroll {

/// The uid of the process that connected to this socket. Throws Error(kPermission) if that user has no uid of
/// their own in the daemon's user namespace: the kernel names all such users by one uid, so they cannot be
/// kept apart.
std::uint32_t peer_uid(int socket);

/// The daemon's user namespace holds every uid of the machine.
bool user_namespace_is_whole();

}  // namespace unroll
