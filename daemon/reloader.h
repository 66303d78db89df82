// Loads another model and other plugins on a thread of its own while documents are read; one reload at a
// time. Open documents keep the revision that they were opened with.
#pragma once

#include <functional>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "daemon/events.h"
#include "engine/engine.h"

namespace unroll {

class Reloader {
 public:
  /// Reads the configuration again and loads what it names. Throws. Called on the reloader's thread.
  using Load = std::function<Revision()>;
  /// Nullopt: the new revision is in use; else why nothing has changed. Called on the I/O thread.
  using Done = std::function<void(const std::optional<Error>&)>;

  Reloader(boost::asio::io_context& io, Engine& engine, Events& events, Load load);
  /// Waits for the current load and drops its result.
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  void reload(Done done);

 private:
  std::optional<Error> load_and_swap();

  boost::asio::io_context& io_;
  Engine& engine_;
  Events& events_;
  const Load load_;
  boost::asio::thread_pool thread_{1};
};

}  // namespace unroll
