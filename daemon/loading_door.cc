#include "daemon/loading_door.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/protocol.h"

namespace unroll {
namespace {

constexpr std::size_t kLongestPing = 512;

/// The response to `line` if it is a ping that a loading daemon answers, otherwise empty.
std::string pong(std::string_view line) {
  const auto parsed = parse_request(line);
  const auto* request = std::get_if<Request>(&parsed);
  if (request == nullptr || request->method != method::kPing || !request->has_id ||
      request->params != nlohmann::json{{"loading", true}})
    return {};
  return result_line(request->id, nlohmann::json::object());
}

}  // namespace

LoadingDoor::LoadingDoor(int listener)
    : listener_(listener), stop_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}

LoadingDoor::~LoadingDoor() {
  close();
}

std::vector<UniqueFd> LoadingDoor::close() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  std::vector<UniqueFd> sockets;
  for (auto& guest : std::exchange(guests_, {})) sockets.push_back(std::move(guest.socket));
  return sockets;
}

void LoadingDoor::run() {
  for (;;) {
    std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0},
                                  {guests_.size() < kMost ? listener_ : -1, POLLIN, 0}};
    for (const auto& guest : guests_) polled.push_back({guest.waits ? -1 : guest.socket.get(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    std::size_t place = 2;
    std::erase_if(guests_, [&](Guest& guest) { return polled[place++].revents != 0 && !serve(guest); });
    if (polled[1].revents == 0) continue;
    UniqueFd socket(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (socket)
      guests_.push_back({std::move(socket)});
    else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
      return;
  }
}

/// False: it has left. What is no ping stays in the socket, with the descriptors that may have come along: to
/// close these may block.
bool LoadingDoor::serve(Guest& guest) {
  std::array<char, kLongestPing> bytes;
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const auto count = ::recvmsg(guest.socket.get(), &message, MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (count <= 0) return false;
  const auto line = std::string_view(bytes.data(), static_cast<std::size_t>(count));
  const bool is_line = line.find('\n') == line.size() - 1 && (message.msg_flags & MSG_CTRUNC) == 0;
  const auto answer = is_line ? pong(line.substr(0, line.size() - 1)) : std::string();
  guest.waits = answer.empty();
  if (guest.waits) return true;
  ::recv(guest.socket.get(), bytes.data(), line.size(), MSG_DONTWAIT);
  ::send(guest.socket.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return true;
}

}  // namespace unroll
