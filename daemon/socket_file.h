// The listening socket: created at a path, or passed by systemd.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "config/config.h"

namespace unroll {

/// The sockets from systemd (LISTEN_FDS); none, if it passed none.
struct PassedSockets {
  UniqueFd local, tcp;
  /// Throws Error(kInvalidParams) for others. Call once.
  static PassedSockets take();
};

/// A listening Unix socket. Removes its file on destruction, if this object created it.
class SocketFile {
 public:
  /// The socket that systemd passed, if it did, or one at config.socket_path: creates its folder with
  /// mode 0700 and replaces a stale socket. Throws Error(kInvalidParams), which names the path (too long, not
  /// a socket, no permission), or Error(kDocumentState) if another daemon listens there.
  static SocketFile open(const Config& config, UniqueFd passed);
  SocketFile(SocketFile&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::exchange(other.path_, std::nullopt)),
        description_(std::move(other.description_)) {}
  ~SocketFile();

  int descriptor() const { return fd_.get(); }
  int release() { return fd_.release(); }
  const std::string& description() const { return description_; }
  /// Removes the file, so that new clients see that no daemon listens.
  void remove();

 private:
  SocketFile() = default;
  static SocketFile create(const Config& config);

  UniqueFd fd_;
  std::optional<std::filesystem::path> path_;  ///< The file to remove.
  std::string description_;
};

}  // namespace unroll
