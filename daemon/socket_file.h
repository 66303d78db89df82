// The listening socket: made at a path, or handed over by systemd.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "config/config.h"

namespace unroll {

/// A listening Unix socket. Its file, if we made it, is removed with it.
class SocketFile {
 public:
  /// The first socket that systemd hands over (LISTEN_FDS), or one at config.socket_path: its folder is made
  /// with mode 0700, a stale socket is replaced. Throws Error(kInvalidParams) that names the path (too long,
  /// no socket but something else, no right) or Error(kDocumentState) if another daemon listens there.
  static SocketFile open(const Config& config);
  SocketFile(SocketFile&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::exchange(other.path_, std::nullopt)),
        description_(std::move(other.description_)) {}
  ~SocketFile();

  int release() { return fd_.release(); }
  const std::string& description() const { return description_; }
  /// Removes the file, so that new clients see that nobody listens.
  void remove();

 private:
  SocketFile() = default;
  static SocketFile create(const Config& config);

  UniqueFd fd_;
  std::optional<std::filesystem::path> path_;  ///< Ours to remove.
  std::string description_;
};

}  // namespace unroll
