#include "daemon/listener.h"

#include <chrono>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace unroll {
namespace asio = boost::asio;
namespace {
constexpr std::chrono::milliseconds kPause{100};
}  // namespace

Listener::Listener(asio::io_context& io, Events& events, UniqueFd socket, int family,
                   std::function<void(Socket)> accepted)
    : io_(io),
      events_(events),
      accepted_(std::move(accepted)),
      acceptor_(io, asio::generic::stream_protocol(family, 0), socket.release()) {}

void Listener::start() {
  asio::co_spawn(io_, accept(), asio::detached);
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

asio::awaitable<void> Listener::accept() {
  while (acceptor_.is_open()) {
    boost::system::error_code error;
    Socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      accepted_(std::move(socket));
    } else if (error != asio::error::operation_aborted && error != asio::error::connection_aborted) {
      // Most likely out of descriptors: without a pause this would spin.
      events_.not_accepted(error.message());
      asio::steady_timer pause(io_, kPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }
}

}  // namespace unroll
