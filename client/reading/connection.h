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

/// The daemon closed the connection: it was stopped or crashed.
class DaemonGone : public CommandError {
 public:
  using CommandError::CommandError;
};

/// Not thread-safe. Every call throws DaemonGone if the daemon closes the connection.
class DaemonConnection {
 public:
  /// Nullopt if no daemon listens (no socket, a stale one, no permission); `why` then gives the reason.
  static std::optional<DaemonConnection> open(const std::filesystem::path& socket, std::string& why);

  /// Sends a request and waits for its response; earlier notifications are queued for next(). `descriptor` is
  /// passed with the line. Throws Error if the daemon answers with an error.
  nlohmann::json call(std::string_view method, const nlohmann::json& params, int descriptor = -1);
  /// The next notification; waits for it.
  Notification next();

  // For callers that also wait for other events.
  /// Sends a request; next_message() will return the response.
  void post(std::string_view method, const nlohmann::json& params);
  int descriptor() const { return socket_.get(); }  ///< To poll, if has_message() is false.
  /// Whether next_message() will not block. Receives what has arrived.
  bool has_message();
  std::variant<Response, Notification> next_message();
  /// Drops the queued notifications.
  void forget_notifications() { waiting_.clear(); }
  const std::filesystem::path& socket() const { return path_; }

 private:
  DaemonConnection(std::filesystem::path path, UniqueFd socket)
      : path_(std::move(path)), socket_(std::move(socket)) {}
  void send(std::string_view line, int descriptor);
  std::string receive_line();
  /// False if nothing has arrived and `flags` contain MSG_DONTWAIT.
  bool receive_more(int flags);
  bool has_line();
  [[noreturn]] void gone(const std::string& how) const;

  std::filesystem::path path_;
  UniqueFd socket_;
  std::string received_;
  std::size_t taken_ = 0;     ///< Lines before this were returned.
  std::size_t searched_ = 0;  ///< There is no newline from taken_ to here.
  std::deque<Notification> waiting_;
  int next_id_ = 1;
};

/// The daemon at `socket`, or if that is empty, at the default sockets; nullopt if none listens there. Throws
/// CommandError with advice if none listens at a given `socket`.
std::optional<DaemonConnection> find_daemon(const std::filesystem::path& socket);
/// As find_daemon(), but throws CommandError if there is none.
DaemonConnection require_daemon(const std::filesystem::path& socket);

}  // namespace unroll
