// A connection to the daemon: JSON-RPC lines on its Unix socket.
#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/unique_fd.h"
#include "client/cli/command_error.h"
#include "protocol/protocol.h"

namespace unroll {

/// The daemon went away: it was stopped, or died.
class DaemonGone : public CommandError {
 public:
  using CommandError::CommandError;
};

/// One thread. Every call throws DaemonGone where the daemon goes away.
class DaemonConnection {
 public:
  /// Nullopt where nobody listens (no socket, a stale one, no right to it); `why` then says so.
  static std::optional<DaemonConnection> open(const std::filesystem::path& socket, std::string& why);

  /// Sends a request and waits for its response; notifications that come before it wait for next().
  /// `descriptor` is passed along with the line. Throws Error where the daemon answers with one.
  nlohmann::json call(std::string_view method, const nlohmann::json& params, int descriptor = -1);
  /// The next notification; waits for it.
  Notification next();

  // For those who wait for other things meanwhile.
  /// Sends a request whose response next_message() will give.
  void post(std::string_view method, const nlohmann::json& params);
  int descriptor() const { return socket_.get(); }  ///< To poll, where has_message() is false.
  /// There is a message that next_message() need not wait for. Receives what has come.
  bool has_message();
  std::variant<Response, Notification> next_message();
  /// Drops the notifications that came so far.
  void forget_notifications() { waiting_.clear(); }
  const std::filesystem::path& socket() const { return path_; }

 private:
  DaemonConnection(std::filesystem::path path, UniqueFd socket)
      : path_(std::move(path)), socket_(std::move(socket)) {}
  void send(std::string_view line, int descriptor);
  std::string receive_line();
  /// False where nothing has come and `flags` say not to wait.
  bool receive_more(int flags);
  bool has_line();
  [[noreturn]] void gone(const std::string& how) const;

  std::filesystem::path path_;
  UniqueFd socket_;
  std::string received_;
  std::size_t taken_ = 0;     ///< Lines before this were given out.
  std::size_t searched_ = 0;  ///< From taken_ up to here there is no newline.
  std::deque<Notification> waiting_;
  int next_id_ = 1;
};

/// The daemon of --socket; else the one that listens where daemons do by default. Nullopt where there is none
/// and `socket` is empty; else throws CommandError that says what to do.
std::optional<DaemonConnection> find_daemon(const std::filesystem::path& socket);
/// As find_daemon, but throws CommandError where there is none at all.
DaemonConnection require_daemon(const std::filesystem::path& socket);

}  // namespace unroll
