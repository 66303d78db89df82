// What the connections of one server share. Owned by the Server; used on the I/O thread only.
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

struct ServerContext {
  boost::asio::io_context& io;
  Engine& engine;
  const Config& config;
  boost::asio::thread_pool& readers;  ///< Threads that may wait for a disk.
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections = {};
  std::array<char, 64 * 1024> scratch = {};  ///< For one read at a time: nobody keeps it over a suspension.
};

}  // namespace unroll
