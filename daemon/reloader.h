// Loads other models and other plugins on a thread of its own while documents are read; one reload at a
// time. Open documents keep the revision that they were opened with.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "daemon/events.h"
#include "daemon/models.h"
#include "engine/engine.h"

namespace unroll {

class Reloader {
 public:
  /// The models that the configuration, read again, names; the first is loaded at once. Throws. Called on the
  /// reloader's thread.
  using Load = std::function<std::vector<ModelSource>()>;
  /// Nullopt: the new revision is in use; else why nothing has changed. Called on the I/O thread.
  using Done = std::function<void(const std::optional<Error>&)>;

  Reloader(boost::asio::io_context& io, Engine& engine, Models& models, Events& events, Load load);
  ~Reloader() { stop(); }
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  void reload(Done done);
  /// Waits for the current load and drops its result.
  void stop();

 private:
  std::optional<Error> load_and_swap();

  boost::asio::io_context& io_;
  Engine& engine_;
  Models& models_;
  Events& events_;
  const Load load_;
  boost::asio::thread_pool thread_{1};
};

}  // namespace unroll
