// The protocol between unrolld and its source readers: each message of a SOCK_SEQPACKET socket is a struct
// followed by texts. Both ends are from the same build, so structs are sent unconverted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unroll::source_wire {

inline constexpr std::size_t kChunkBytes = 64 * 1024;     ///< Maximum data in one message.
inline constexpr int kControl = 3;                        ///< The reader's descriptor of the socket.
inline constexpr std::size_t kDigestBytes = 1024 * 1024;  ///< That are processed in one request, at most.
inline constexpr std::uint32_t kWriteBytes = 8 * 1024 * 1024;  ///< That are written in one request, at most.
inline constexpr std::uint64_t kNextBytes =
    ~std::uint64_t{0};  ///< The offset of a read from a pipe or a socket.
/// The reader's own descriptors: standard streams, control socket, its pipe, one file being examined.
inline constexpr std::uint64_t kOwnDescriptors = 16;

enum class Operation : std::uint32_t {
  kTake,             ///< Receive `bytes` bytes from the connection that comes along, with their descriptors.
  kDiscard,          ///< The same; the descriptors are dropped without being looked at.
  kCloseConnection,  ///< Close the connection that comes along, with whatever is still in it.
  kOpen,             ///< Open the file at `location` (its path follows) if it is still the same one.
  kRead,             ///< A file: at `offset`. A pipe or a socket: when something is there.
  kDigest,  ///< As kRead, at most `bytes` bytes: they are processed, and the digest goes back instead.
  kClose,   ///< Close a source.
  kWrite,   ///< Write at most `bytes` bytes, from `offset` on, of the file that comes along to a source.
};

struct Location {
  std::uint64_t device = 0, inode = 0;
  std::int64_t birth = 0;
  std::uint32_t generation = 0;
};

struct Request {
  Operation operation{};
  std::uint32_t bytes = 0;
  std::uint64_t ticket = 0;  ///< The answer has the same.
  std::uint64_t source = 0;
  std::uint64_t offset = 0;
  Location location;
};

enum class Outcome : std::uint32_t {
  kDone,
  kFailed,   ///< The text says why.
  kTooMany,  ///< Out of descriptors; the text names the limit.
};

/// The texts follow in this order: path, text, data.
struct Reply {
  std::uint64_t ticket = 0;
  Outcome outcome = Outcome::kDone;
  std::uint32_t descriptors = 0;  ///< kTake: number of descriptors.
  std::uint64_t source = 0;       ///< kTake, kOpen: what was opened; 0: nothing.
  std::uint64_t file_bytes = 0;   ///< Of a regular file; 0 if it does not say.
  /// kDigest: how many bytes now; the data are the SHA-256 of all so far. kWrite: how many were written.
  std::uint64_t processed = 0;
  Location location;
  std::uint32_t is_file = 0, has_location = 0;
  std::uint32_t path_bytes = 0, text_bytes = 0, data_bytes = 0;
};

}  // namespace unroll::source_wire
