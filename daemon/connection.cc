#include "daemon/connection.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <linux/sockios.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kKeepCapacity = 64 * 1024;
constexpr std::chrono::seconds kLinger{2};

/// As recv(). Descriptors that came along are dropped (with MSG_PEEK: left there); sets whether there were
/// any.
ssize_t receive(Socket& socket, std::span<char> bytes, int flags, bool& descriptors) {
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t count = ::recvmsg(socket.native_handle(), &message, flags | MSG_DONTWAIT);
  descriptors = (message.msg_flags & MSG_CTRUNC) != 0;
  return count;
}

}  // namespace

void close_socket(ServerContext& context, Socket& socket) {
  if (!socket.is_open()) return;
  boost::system::error_code ignored;
  // Nothing more can arrive from here on.
  ::shutdown(socket.native_handle(), SHUT_RDWR);
  int unread = 0;
  // Over TCP no descriptors come.
  if (socket.local_endpoint(ignored).protocol().family() == AF_UNIX &&
      ::ioctl(socket.native_handle(), SIOCINQ, &unread) == 0 && unread > 0)
    context.sources.close_connection(socket.native_handle());
  socket.close(ignored);
}

Connection::Connection(ServerContext& context, Socket socket, std::uint32_t owner)
    : shared_context_(context.shared_from_this()),
      context_(context),
      socket_(std::move(socket)),
      owner_(owner),
      limit_(static_cast<std::size_t>(context.config.outgoing_bytes)),
      patience_(context.io),
      turn_(context.io),
      signal_(context.io) {}

Connection::~Connection() {
  close_socket(context_, socket_);
  context_.connections.erase(this);
}

void Connection::start() {
  context_.connections.emplace(this, weak_from_this());
  asio::co_spawn(
      context_.io,
      [self = shared_from_this()]() -> asio::awaitable<void> {
        try {
          co_await self->serve();
        } catch (const boost::system::system_error&) {
          // The peer is gone, or close() was called.
        } catch (const std::exception& error) {
          spdlog::error("a connection failed: {}", error.what());
        }
        self->gone();
      },
      asio::detached);
}

void Connection::close() {
  close_socket(context_, socket_);
  signal();
}

void Connection::gone() {
  close();
  if (!std::exchange(gone_, true)) on_gone();
}

void Connection::send(std::string_view bytes) {
  if (!socket_.is_open()) return;
  pending_ += bytes;
  if (writing_.empty()) write_next();
}

void Connection::write_next() {
  if (pending_.empty() || !socket_.is_open()) return;
  writing_.swap(pending_);
  write_rest(0);
}

void Connection::write_rest(std::size_t from) {
  asio::async_write(
      socket_, asio::buffer(asio::buffer(writing_) + from),
      [self = shared_from_this(), from](const boost::system::error_code& error, std::size_t count) {
        if (error == asio::error::operation_aborted && self->is_open()) {
          return self->write_rest(from + count);  // interrupt() was for the reader
        }
        self->on_written(!error);
      });
}

void Connection::on_written(bool all) {
  const bool was_full = !has_room();
  writing_.clear();
  if (writing_.capacity() > kKeepCapacity) writing_.shrink_to_fit();
  if (!all) {
    pending_.clear();
    return gone();
  }
  write_next();
  if (was_full && has_room()) on_room();
  signal();
}

void Connection::interrupt() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

asio::awaitable<void> Connection::finish() {
  while (is_open() && outgoing_bytes() > 0) co_await wait_for_signal();
  boost::system::error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  const auto until = std::chrono::steady_clock::now() + kLinger;
  for (Arrival arrived = Arrival::kBytes; !error && is_open() && arrived == Arrival::kBytes;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    arrived = co_await arrival(std::max(left, std::chrono::milliseconds(0)));
  }
  close();
}

asio::awaitable<Connection::Arrival> Connection::arrival(std::optional<std::chrono::milliseconds> time) {
  arrived_ = 0;
  const auto until = std::chrono::steady_clock::now() + time.value_or(std::chrono::hours(24 * 365));
  while (is_open()) {
    patience_.expires_at(until);
    patience_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
      if (const auto self = weak.lock(); self && !cancelled) self->interrupt();
    });
    boost::system::error_code error;
    co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    patience_.cancel();
    if (error == asio::error::operation_aborted && is_open())
      co_return std::chrono::steady_clock::now() >= until ? Arrival::kTimeout : Arrival::kInterrupted;
    if (error) break;
    bool descriptors = false;
    ssize_t count = receive(socket_, context_.scratch, MSG_PEEK, descriptors);
    if (count > 0 && !descriptors) {
      count = receive(socket_, std::span(context_.scratch).first(static_cast<std::size_t>(count)), 0,
                      descriptors);
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) break;
    arrived_ = static_cast<std::size_t>(count);
    co_return descriptors ? Arrival::kDescriptors : Arrival::kBytes;
  }
  co_return Arrival::kEnd;
}

asio::awaitable<void> Connection::wait_for_turn() {
  bool mine = false;
  context_.turns->ask(owner_, [weak = weak_from_this(), &mine] {
    // The waiting coroutine keeps the connection and its own frame, with `mine`, alive.
    const auto self = weak.lock();
    if (!self) return;
    mine = true;
    self->turn_.cancel();
  });
  while (!mine) {
    turn_.expires_at(asio::steady_timer::time_point::max());
    boost::system::error_code cancelled;
    co_await turn_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
}

asio::awaitable<void> Connection::wait_for_signal() {
  if (!std::exchange(signalled_, false)) {
    signal_.expires_at(asio::steady_timer::time_point::max());
    boost::system::error_code cancelled;
    co_await signal_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    signalled_ = false;
  }
}

void Connection::signal() {
  signalled_ = true;
  signal_.cancel();
}

}  // namespace unroll
