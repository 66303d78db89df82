// Accepts connections on a listening socket, of Unix or TCP.
#pragma once

#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "base/unique_fd.h"
#include "daemon/context.h"

namespace unroll {

/// For the I/O thread only.
class Listener {
 public:
  /// `family`: AF_UNIX, AF_INET or AF_INET6. `accepted` gets each connection.
  Listener(boost::asio::io_context& io, Events& events, UniqueFd socket, int family,
           std::function<void(Socket)> accepted);
  /// Call once; the object then stays until the io_context has stopped.
  void start();
  /// Accepts no more.
  void close();

 private:
  boost::asio::awaitable<void> accept();

  boost::asio::io_context& io_;
  Events& events_;
  const std::function<void(Socket)> accepted_;
  boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol> acceptor_;
};

}  // namespace unroll
