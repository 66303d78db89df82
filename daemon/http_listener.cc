#include "daemon/http_listener.h"

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "base/error.h"
#include "daemon/http_session.h"

namespace unroll {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr int kBacklog = 4096;  // the kernel limits it to net.core.somaxconn
/// Connections that have not sent a token yet. One more closes the oldest of them, so that nobody can keep
/// others out by connecting.
constexpr std::size_t kMostUnknown = 32;
/// A peer that is gone without a word, and sends or takes nothing, is found out after two minutes.
constexpr int kIdleSeconds = 60, kProbeSeconds = 15, kProbes = 4, kUnansweredMs = 120'000;

[[noreturn]] void refuse(const std::string& key, const std::string& value, const std::string& what) {
  throw Error(ErrorCode::kInvalidParams, key + " '" + value + "': " + what);
}

tcp::endpoint endpoint_of(const std::string& listen) {
  const auto colon = listen.rfind(':');
  std::string host = colon == std::string::npos ? "127.0.0.1" : listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto digits = colon == std::string::npos ? listen : listen.substr(colon + 1);
  std::uint16_t port = 0;
  const auto* last = digits.data() + digits.size();
  const auto [end, failed] = std::from_chars(digits.data(), last, port);
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error || failed != std::errc() || end != last)
    refuse("http.listen", listen, "write PORT, ADDRESS:PORT or [ADDRESS]:PORT with a numeric address");
  return {address, port};
}

UniqueFd bound_socket(const std::string& listen, const tcp::endpoint& endpoint) {
  UniqueFd socket(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  // Otherwise the port could not be used for a minute after a restart.
  if (socket) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!socket || ::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
    refuse("http.listen", listen, std::generic_category().message(errno) + "; name another port or address");
  return socket;
}

tcp::endpoint local_endpoint(int socket) {
  tcp::endpoint endpoint(tcp::v6(), 0);  // with room for either
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(socket, endpoint.data(), &size) != 0)
    throw Error(ErrorCode::kInternal,
                "a TCP socket has no address: " + std::generic_category().message(errno));
  endpoint.resize(size);
  return endpoint;
}

void set_options(int socket) {
  const auto set = [&](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUnansweredMs);
}

}  // namespace

std::optional<HttpDoor> HttpDoor::open(const Config& config, UniqueFd passed) {
  const auto& listen = config.http_listen;
  if (!passed && listen.empty()) return std::nullopt;
  if (config.http_tokens.empty()) {
    throw Error(ErrorCode::kInvalidParams,
                "HTTP over TCP needs tokens; name their file with http.tokens, or leave out http.listen");
  }
  HttpDoor door;
  door.tokens_file = config.http_tokens;
  door.tokens = HttpTokens::load(door.tokens_file);
  door.socket = passed ? std::move(passed) : bound_socket(listen, endpoint_of(listen));
  const auto endpoint = local_endpoint(door.socket.get());
  door.family = endpoint.protocol().family();
  const auto host = endpoint.address().to_string();
  door.url = "http://" + (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
             std::to_string(endpoint.port());
  if (!endpoint.address().is_loopback()) {
    spdlog::warn("{} is not encrypted: use it in a private network, or behind a proxy with TLS", door.url);
  }
  return door;
}

HttpListener::HttpListener(ServerContext& context, HttpDoor door)
    : context_(context),
      tokens_file_(std::move(door.tokens_file)),
      url_(std::move(door.url)),
      descriptor_(door.socket.get()),
      listener_(context.io, context.events, std::move(door.socket), door.family,
                [this](Socket socket) { take(std::move(socket)); }) {
  context.tokens = std::move(door.tokens);
}

void HttpListener::start() {
  if (::listen(descriptor_, kBacklog) != 0)
    refuse("http.listen", url_, std::generic_category().message(errno) + "; name another port or address");
  listener_.start();
  spdlog::info("listening on {}", url_);
}

void HttpListener::take(Socket socket) {
  sessions_.remove_if([](const auto& weak) { return weak.expired(); });
  std::shared_ptr<HttpSession> oldest;
  std::size_t unknown = 0;
  for (const auto& weak : sessions_) {
    auto session = weak.lock();
    if (!session || !session->is_open() || session->owner() != kUnknownOwner) continue;
    if (++unknown == 1) oldest = std::move(session);
  }
  if (unknown >= kMostUnknown) oldest->close();
  set_options(socket.native_handle());
  const auto session =
      std::make_shared<HttpSession>(context_, std::move(socket), kUnknownOwner, HttpSession::Access::kToken);
  sessions_.push_back(session);
  session->start();
}

void HttpListener::read_tokens() {
  context_.tokens = HttpTokens::load(tokens_file_);
  for (const auto& weak : sessions_) {
    if (const auto session = weak.lock()) session->close_if_revoked();
  }
}

}  // namespace unroll
