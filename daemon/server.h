// Accepts connections, handles signals, reports to systemd, and stops cleanly.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/unique_fd.h"
#include "daemon/context.h"
#include "daemon/http_listener.h"
#include "daemon/listener.h"
#include "daemon/socket_file.h"

namespace unroll {

/// Used by one thread, the caller of run(). `io` and `events` outlive the engine, which outlives the server:
/// the engine's last callbacks are posted to `io` and never run.
class Server {
 public:
  /// `models`: those that documents can ask for; the engine has loaded the first.
  Server(boost::asio::io_context& io, Engine& engine, std::vector<ModelSource> models, const Config& config,
         Events& events, SocketFile socket, Reloader::Load load);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until SIGTERM, SIGINT or stop(), then drains within config.drain_ms. Returns true if no document
  /// was left open.
  bool run();
  /// Before run(): connections that were accepted already.
  void adopt(std::vector<UniqueFd> connections) { adopted_ = std::move(connections); }
  /// Before run().
  void listen_http(HttpDoor door);
  /// Same as SIGTERM. Thread-safe.
  void stop();

 private:
  void serve();
  void reload(Reloader::Done done);
  void welcome(Socket socket);
  struct Greeted;
  boost::asio::awaitable<void> greet(std::shared_ptr<Greeted> peer);
  std::unique_ptr<const Error> refusal(Greeted& peer) const;
  boost::asio::awaitable<char> first_byte(Socket& socket, std::chrono::milliseconds time);
  boost::asio::awaitable<void> refuse(Socket& socket, std::uint32_t owner, const Error& error);
  void wait_for_termination();
  void wait_for_hangup();
  void begin_stop();
  void finish_stop(bool drained);
  void wait_for_connections(int polls);
  void tick();
  bool engine_goes_on(const EngineStats& stats) const;

  boost::asio::io_context& io_;
  const std::shared_ptr<ServerContext> context_;
  SocketFile file_;
  Reloader reloader_;
  Listener listener_;
  std::optional<HttpListener> http_;
  boost::asio::signal_set termination_, hangup_;
  boost::asio::steady_timer ticker_, closing_;
  const std::chrono::milliseconds
      watchdog_;  ///< systemd restarts the daemon after this long without a notification; 0: never.
  const std::chrono::milliseconds tick_;
  std::vector<UniqueFd> adopted_;
  bool stopping_ = false;
  bool drained_ = false;
  std::size_t refusing_ = 0;  ///< Connections to which a refusal is being sent.
  bool stands_still_ = false;
  bool gave_back_ = true;  ///< No activity since memory was returned to the system.
  std::uint64_t last_tokens_ = 0;
  std::thread drainer_;
  /// What a stop waits for; null when its threads have ended.
  const std::shared_ptr<std::atomic<const char*>> awaited_ =
      std::make_shared<std::atomic<const char*>>("the engine is at a block or a commit that does not end");
};

}  // namespace unroll
