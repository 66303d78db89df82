#include "tests/daemon/peer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace unroll::test {
namespace {

constexpr int kPatienceMs = 30'000;

}  // namespace

Peer::Peer(const std::string& socket) : descriptor_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(descriptor_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("cannot connect to " + socket + ": " + std::strerror(errno));
  }
}

Peer::Peer(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    throw std::runtime_error("cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
}

bool Peer::send(std::string_view bytes, const std::vector<int>& descriptors) {
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  bool first = !descriptors.empty();
  while (!bytes.empty()) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (first) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
      std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
    }
    const auto sent = ::sendmsg(descriptor_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    first = false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::size_t Peer::send_some(std::string_view bytes) {
  const auto sent = ::send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void Peer::close_sending() {
  ::shutdown(descriptor_.get(), SHUT_WR);
}

/// Receives more into received_; false at the end of the stream.
bool Peer::fill() {
  pollfd waiting{descriptor_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, kPatienceMs) <= 0) throw std::runtime_error("the daemon does not answer");
  std::array<char, 65536> buffer;  // NOLINT: only what was read is used
  const auto got = ::recv(descriptor_.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;  // closed; or reset, because it had not read everything when it closed
  received_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

std::optional<std::string> Peer::line() {
  for (;;) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      auto found = received_.substr(0, end);
      received_.erase(0, end + 1);
      return found;
    }
    if (!fill()) return std::nullopt;
  }
}

std::string Peer::rest() {
  while (fill()) {
  }
  return std::exchange(received_, {});
}

nlohmann::json Peer::call(const std::string& method, const nlohmann::json& params,
                          const std::vector<int>& descriptors) {
  const int id = ++next_id_;
  const nlohmann::json request{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  send(request.dump() + "\n", descriptors);
  while (const auto text = line()) {
    auto message = nlohmann::json::parse(*text);
    if (message.contains("id")) {
      if (message["id"] != id) throw std::runtime_error("an answer to another request: " + *text);
      return message;
    }
    notifications_.push_back(*text);
  }
  throw std::runtime_error("the daemon closed instead of answering " + method);
}

std::string Peer::notification_text() {
  if (!notifications_.empty()) {
    auto first = std::move(notifications_.front());
    notifications_.pop_front();
    return first;
  }
  if (auto text = line()) return *std::move(text);
  throw std::runtime_error("the daemon closed the connection");
}

nlohmann::json Peer::notification() {
  return nlohmann::json::parse(notification_text());
}

std::string Peer::output_text(const std::string& notification) {
  const auto params = nlohmann::json::parse(notification).at("params");
  const std::string_view before_data = ",\"data\":", after_data = "}}";
  const auto data = notification.find(before_data) + before_data.size();
  return params.at("sequence").dump() + " " + params.at("plugin").get<std::string>() + " " +
         notification.substr(data, notification.size() - data - after_data.size());
}

std::map<std::string, Peer::Document> Peer::read_documents(std::size_t count) {
  std::map<std::string, Document> documents;
  while (count > 0) {
    const auto text = notification_text();
    auto message = nlohmann::json::parse(text);
    if (!message.contains("method")) throw std::runtime_error("not a notification: " + text);
    const auto& params = message.at("params");
    Document& document = documents[params.at("document").get<std::string>()];
    if (!document.end.is_null()) throw std::runtime_error("after a document's end: " + text);
    if (message["method"] == "document.output") {
      document.outputs.push_back(output_text(text));
    } else if (message["method"] != "document.progress") {
      document.end = std::move(message);
      --count;
    }
  }
  return documents;
}

Peer::Document Peer::read_document(const std::string& id) {
  auto documents = read_documents(1);
  if (documents.size() != 1 || !documents.contains(id)) throw std::runtime_error("of another document");
  return std::move(documents.at(id));
}

std::string http(const std::string& socket, const std::string& request) {
  Peer peer(socket);
  peer.send(request);
  peer.close_sending();  // otherwise the connection waits for another request
  return peer.rest();
}

}  // namespace unroll::test
