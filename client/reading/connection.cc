#include "client/reading/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/descriptor_passing.h"
#include "client/cli/command_error.h"
#include "config/config.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReceiveBytes = 256 * 1024;

std::vector<fs::path> default_sockets() {
  std::vector<fs::path> sockets = {default_socket_path()};
  if (sockets.front() != kSystemSocketPath) sockets.emplace_back(kSystemSocketPath);
  return sockets;
}

std::string why_not(const fs::path& socket, int error) {
  const std::string name = socket.string();
  if (error == ENOENT) return "there is no daemon socket at " + name;
  if (error == ECONNREFUSED) return "no daemon listens on " + name;
  if (error == EACCES) return "you may not connect to " + name + "; only its owner or group may";
  return system_message("cannot connect to " + name, error);
}

}  // namespace

std::optional<DaemonConnection> DaemonConnection::open(const fs::path& socket, std::string& why) {
  check_socket_path(socket);
  UniqueFd descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!descriptor) throw CommandError(system_message("cannot make a socket", errno));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = socket.string();
  std::memcpy(address.sun_path, text.data(), text.size());
  if (::connect(descriptor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    why = why_not(socket, errno);
    return std::nullopt;
  }
  return DaemonConnection(socket, std::move(descriptor));
}

void DaemonConnection::gone(const std::string& how) const {
  throw DaemonGone("the daemon on " + path_.string() + " " + how +
                   "; read its log, restart it, and run the command again");
}

void DaemonConnection::send(std::string_view line, int descriptor) {
  while (!line.empty()) {
    const ssize_t sent =
        send_with_descriptors(socket_.get(), line, {&descriptor, descriptor >= 0 ? std::size_t{1} : 0});
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) gone("went away");
    descriptor = -1;
    line.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool DaemonConnection::has_line() {
  searched_ = std::min(received_.find('\n', searched_), received_.size());
  return searched_ < received_.size();
}

std::string DaemonConnection::receive_line() {
  while (!has_line()) receive_more(0);
  std::string line = received_.substr(taken_, searched_ - taken_);
  taken_ = ++searched_;
  return line;
}

bool DaemonConnection::receive_more(int flags) {
  received_.erase(0, std::exchange(taken_, 0));
  searched_ = received_.size();
  if (searched_ > kMaxLineBytes) gone("sent a line longer than the protocol allows");
  received_.resize(searched_ + kReceiveBytes);
  const ssize_t got = ::recv(socket_.get(), received_.data() + searched_, kReceiveBytes, flags);
  const int error = errno;
  received_.resize(searched_ + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got == 0 || (got < 0 && error == ECONNRESET)) gone("closed the connection before it was done");
  if (got < 0 && error != EINTR && error != EAGAIN)
    throw CommandError(system_message("cannot read from " + path_.string(), error));
  return got > 0;
}

bool DaemonConnection::has_message() {
  return !waiting_.empty() || has_line() || (receive_more(MSG_DONTWAIT) && has_line());
}

std::variant<Response, Notification> DaemonConnection::next_message() {
  if (waiting_.empty()) return parse_message(receive_line());
  Notification first = std::move(waiting_.front());
  waiting_.pop_front();
  return first;
}

void DaemonConnection::post(std::string_view method, const nlohmann::json& params) {
  send(request_line(next_id_++, method, params), -1);
}

nlohmann::json DaemonConnection::call(std::string_view method, const nlohmann::json& params, int descriptor) {
  const int id = next_id_++;
  send(request_line(id, method, params), descriptor);
  for (;;) {
    auto message = parse_message(receive_line());
    if (auto* response = std::get_if<Response>(&message)) {
      // An error without an id is about a line that the daemon could not parse: this one, as no other request
      // is pending.
      if (response->error) throw *response->error;
      if (response->id == id) return std::move(response->result);
    } else {
      waiting_.push_back(std::move(std::get<Notification>(message)));
    }
  }
}

Notification DaemonConnection::next() {
  for (;;) {
    auto message = next_message();
    if (auto* notification = std::get_if<Notification>(&message)) return std::move(*notification);
    auto& response = std::get<Response>(message);
    if (response.error) throw *response.error;
  }
}

std::optional<DaemonConnection> find_daemon(const fs::path& socket) {
  std::string why;
  if (!socket.empty()) {
    auto connection = DaemonConnection::open(socket, why);
    if (connection) return connection;
    throw CommandError(why + "; start one with 'unrolld --socket " + socket.string() +
                       "', or omit --socket to read the document in this process");
  }
  for (const fs::path& candidate : default_sockets()) {
    if (candidate.string().size() > kMaxSocketPathBytes) continue;
    if (auto connection = DaemonConnection::open(candidate, why)) return connection;
  }
  return std::nullopt;
}

DaemonConnection require_daemon(const fs::path& socket) {
  if (auto connection = find_daemon(socket)) return std::move(*connection);
  throw CommandError("no daemon listens on " + default_socket_path().string() +
                     "; start one with 'unrolld', or name its socket with --socket");
}

}  // namespace unroll
