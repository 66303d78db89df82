// The user at the other end of a connection.
#pragma once

#include <cstdint>
#include <string>

namespace unroll {

/// The uid of the process that connected to this socket. Throws Error(kPermission) if that user has no uid in
/// the daemon's user namespace: the kernel reports the same uid for all such users, so they cannot be
/// distinguished.
std::uint32_t peer_uid(int socket);

/// Of the other end of a TCP connection, with its port, for the log.
std::string peer_address(int socket);

/// Whether the daemon's user namespace contains every uid of the machine.
bool user_namespace_is_whole();

}  // namespace unroll
