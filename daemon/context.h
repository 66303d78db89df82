// What the connections of one server share, used on the I/O thread only. They share its ownership, too: those
// that are still open when the server stops are destroyed with the io_context, after the server.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <unordered_map>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/config.h"
#include "engine/engine.h"

namespace unroll {

using Socket = boost::asio::local::stream_protocol::socket;

class Connection;

struct ServerContext : std::enable_shared_from_this<ServerContext> {
  ServerContext(boost::asio::io_context& io, boost::asio::thread_pool& readers, Engine& engine,
                const Config& config)
      : io(io), readers(readers), engine(engine), config(config) {}

  boost::asio::io_context& io;
  boost::asio::thread_pool& readers;  ///< Threads that may wait for a disk.
  Engine& engine;
  const Config& config;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections;
  std::size_t greeting = 0;                  ///< Connections whose first byte is awaited.
  std::array<char, 64 * 1024> scratch = {};  ///< For one read at a time: nobody keeps it over a suspension.
};

}  // namespace unroll
