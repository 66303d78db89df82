// The state that a server's connections share, for the I/O thread only. The connections also share its
// ownership: those still open when the server stops are destroyed with the io_context, after the server.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "config/config.h"
#include "daemon/events.h"
#include "daemon/fair_pool.h"
#include "daemon/fair_turns.h"
#include "daemon/http_tokens.h"
#include "daemon/line_budget.h"
#include "daemon/models.h"
#include "daemon/reloader.h"
#include "daemon/source_readers.h"
#include "daemon/subscription.h"
#include "engine/engine.h"

namespace unroll {

/// Of Unix or TCP.
using Socket = boost::asio::generic::stream_protocol::socket;

class Connection;

struct ServerContext : std::enable_shared_from_this<ServerContext> {
  /// `events` outlives the engine; all arguments outlive the context's use on the I/O thread.
  ServerContext(boost::asio::io_context& io, Engine& engine, const Config& config, Events& events);
  Subscription::Surroundings surroundings() { return {io, engine, events, turns}; }
  /// Throws LimitError if too many connections are open, including one of this owner's that was just added.
  void check_connections(std::uint32_t owner) const;

  boost::asio::io_context& io;
  Engine& engine;
  const Config& config;
  Events& events;
  const std::shared_ptr<FairTurns> turns;
  const std::shared_ptr<LineBudget> lines;
  Models models;  ///< Stopped by the server.
  SourceReaders sources;
  FairPool parsers;                            ///< For long lines and long answers; joined by the server.
  FairPool journal_jobs;                       ///< For what waits for the journal; joined by the server.
  FairPool openers;                            ///< See open_document.h; joined by the server.
  std::function<void(Reloader::Done)> reload;  ///< Set by the server while it exists.
  /// Why the daemon accepts no documents; null after the self-test has passed.
  const char* not_ready = "starting";
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> connections;
  const std::int64_t most_connections;              ///< The configured number, or what descriptors allow.
  std::unordered_multiset<std::uint32_t> greeting;  ///< Peers of connections that have sent nothing yet.
  std::shared_ptr<const HttpTokens> tokens;         ///< For HTTP over TCP; null if there is none.
  std::array<char, 64 * 1024> scratch = {};         ///< For one read; not valid after a suspension.
};

}  // namespace unroll
