// What the connections of one server share, used on the I/O thread only. They share its ownership, too: those
// that are still open when the server stops are destroyed with the io_context, after the server.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/config.h"
#include "daemon/reloader.h"
#include "daemon/source_files.h"
#include "engine/engine.h"

namespace unroll {

using Socket = boost::asio::local::stream_protocol::socket;

class Connection;

/// Of documents that are files, where these can be opened again.
inline constexpr std::size_t kMostOpenFiles = 64;
/// Documents that are being opened at once: each may wait for a plugin that takes its time.
inline constexpr std::size_t kOpeners = 4;

struct ServerContext : std::enable_shared_from_this<ServerContext> {
  ServerContext(boost::asio::io_context& io, boost::asio::thread_pool& readers, Engine& engine,
                const Config& config)
      : io(io), readers(readers), engine(engine), config(config) {}

  boost::asio::io_context& io;
  boost::asio::thread_pool& readers;  ///< Threads that may wait for a disk.
  Engine& engine;
  const Config& config;
  boost::asio::thread_pool openers{kOpeners};  ///< See open_document.h; joined by the server.
  SourceFiles files{kMostOpenFiles};
  std::function<void(Reloader::Done)> reload;  ///< Set by the server, as long as it lives.
  /// Why the daemon takes no documents; null once the default plugins have read the built-in test line.
  const char* not_ready = "starting";
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections;
  std::unordered_multiset<std::uint32_t> greeting;  ///< Peers of connections whose first byte is awaited.
  std::array<char, 64 * 1024> scratch = {};  ///< For one read at a time: nobody keeps it over a suspension.
};

}  // namespace unroll
