#include "daemon/connection.h"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kKeepCapacity = 64 * 1024;
constexpr std::chrono::seconds kLinger{2};

}  // namespace

Connection::Connection(ServerContext& context, Socket socket, std::uint32_t owner)
    : shared_context_(context.shared_from_this()),
      context_(context),
      socket_(std::move(socket)),
      owner_(owner),
      limit_(static_cast<std::size_t>(context.config.outgoing_bytes)),
      signal_(context.io) {}

Connection::~Connection() {
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
  boost::system::error_code ignored;
  socket_.close(ignored);
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
          return self->write_rest(from + count);  // interrupt() meant the reader
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
  asio::steady_timer timer(context_.io, kLinger);
  timer.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled) self->close();
  });
  while (!error) {
    co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (!error) socket_.read_some(asio::buffer(context_.scratch), error);
  }
  timer.cancel();
  close();
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
