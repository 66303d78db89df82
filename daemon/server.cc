#include "daemon/server.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/http_session.h"
#include "daemon/peer_uid.h"
#include "daemon/resume_files.h"
#include "daemon/rpc_session.h"

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kTick{2000};
constexpr std::chrono::milliseconds kPoll{20};
constexpr int kClosingPolls = 150;  // 3 s: a little longer than a connection lingers
constexpr std::chrono::milliseconds kAcceptPause{100};

std::chrono::milliseconds watchdog_time() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return {};
  return std::chrono::milliseconds(microseconds / 1000);
}

bool begins_json(char first) {
  return first == '{' || first == '[' || first == ' ' || first == '\t' || first == '\r' || first == '\n';
}

}  // namespace

Server::Server(asio::io_context& io, asio::thread_pool& readers, Engine& engine, const Config& config,
               SocketFile socket, Reloader::Load load)
    : io_(io),
      readers_(readers),
      context_(std::make_shared<ServerContext>(io, readers, engine, config)),
      file_(std::move(socket)),
      reloader_(io, engine, std::move(load)),
      acceptor_(io, asio::local::stream_protocol(), file_.release()),
      termination_(io, SIGTERM, SIGINT),
      hangup_(io, SIGHUP),
      ticker_(io),
      closing_(io),
      watchdog_(watchdog_time()),
      tick_(watchdog_.count() > 0 ? std::min(kTick, watchdog_ / 4) : kTick) {
  context_->reload = [this](Reloader::Done done) { reloader_.reload(std::move(done)); };
}

Server::~Server() {
  context_->reload = nullptr;
  readers_.stop();
  readers_.join();
  context_->openers.join();
  if (drainer_.joinable()) drainer_.join();
  // Whatever still waits in the io_context must not find the engine or this any more.
  for (const auto& [key, weak] : std::exchange(context_->connections, {})) {
    if (const auto connection = weak.lock()) connection->close();
  }
}

bool Server::run() {
  wait_for_termination();
  wait_for_hangup();
  resume_files(*context_);
  asio::co_spawn(io_, accept(), asio::detached);
  tick();
  spdlog::info("listening on {}", file_.description());
  if (!user_namespace_is_whole()) {
    spdlog::warn("this user namespace does not hold all users: those outside of it are refused");
  }
  context_->not_ready = nullptr;
  ::sd_notify(0, "READY=1");
  io_.run();
  return drained_;
}

void Server::stop() {
  asio::post(io_, [this] { begin_stop(); });
}

void Server::wait_for_termination() {
  termination_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (stopping_) {
      spdlog::warn("a second signal ({}): stopping at once; the journal holds what was committed", signal);
      file_.remove();
      std::_Exit(1);
    }
    wait_for_termination();
    begin_stop();
  });
}

void Server::wait_for_hangup() {
  hangup_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    reloader_.reload([](const std::optional<Error>&) {});  // the log tells
    wait_for_hangup();
  });
}

asio::awaitable<void> Server::accept() {
  while (acceptor_.is_open()) {
    boost::system::error_code error;
    Socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      asio::co_spawn(io_, greet(std::move(socket)), asio::detached);
    } else if (error != asio::error::operation_aborted && error != asio::error::connection_aborted) {
      // Out of descriptors, most likely: without a pause this would spin.
      spdlog::warn("a connection could not be accepted: {}", error.message());
      asio::steady_timer pause(io_, kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }
}

/// Throws LimitError where those that are open, the newest one counted, are too many.
void Server::check_connections(std::uint32_t owner) const {
  const auto check = [](std::size_t open, std::string_view key, std::int64_t value) {
    const auto limit = static_cast<std::uint64_t>(value);
    if (open > limit) throw LimitError("too many connections are open", key, limit, "try again later");
  };
  const auto& all = context_->connections;
  const auto owned =
      std::ranges::count_if(all, [&](const auto& entry) { return entry.first->owner() == owner; });
  check(all.size() + context_->greeting.size(), "limits.connections", context_->config.max_connections);
  check(static_cast<std::size_t>(owned) + context_->greeting.count(owner), "limits.connections_per_user",
        context_->config.max_connections_per_user);
}

/// The first byte tells JSON-RPC from HTTP.
asio::awaitable<void> Server::greet(Socket accepted) {
  struct Counted {
    std::shared_ptr<ServerContext> context;
    std::unordered_multiset<std::uint32_t>::iterator entry;
    Counted(std::shared_ptr<ServerContext> shared, std::uint32_t owner)
        : context(std::move(shared)), entry(context->greeting.insert(owner)) {}
    ~Counted() { context->greeting.erase(entry); }
  };
  boost::system::error_code error;
  // Shared with the timer, whose handler may run when this has returned already.
  const auto shared = std::make_shared<Socket>(std::move(accepted));
  Socket& socket = *shared;
  std::uint32_t owner = 0;
  std::optional<Counted> counted;
  try {
    owner = peer_uid(socket.native_handle());
    counted.emplace(context_, owner);
    check_connections(owner);
  } catch (const Error& refused) {
    socket.non_blocking(true, error);
    socket.write_some(asio::buffer(error_line(nullptr, refused)), error);
    co_return;
  }
  asio::steady_timer timer(io_, std::chrono::milliseconds(context_->config.request_timeout_ms));
  timer.async_wait([shared](const boost::system::error_code& cancelled) {
    boost::system::error_code ignored;
    if (!cancelled) shared->close(ignored);
  });
  co_await socket.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
  timer.cancel();
  char first = 0;
  if (error || stopping_ || ::recv(socket.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
    co_return;
  gave_back_ = false;
  if (begins_json(first)) {
    std::make_shared<RpcSession>(*context_, std::move(socket), owner)->start();
  } else {
    std::make_shared<HttpSession>(*context_, std::move(socket), owner)->start();
  }
}

void Server::begin_stop() {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("stopping: {} open documents may go on for {} ms", context_->engine.stats().open_documents,
               context_->config.drain_ms);
  context_->not_ready = "stopping";
  ::sd_notify(0, "STOPPING=1");
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  file_.remove();
  drainer_ = std::thread([this] {
    const bool drained = context_->engine.drain(std::chrono::milliseconds(context_->config.drain_ms));
    asio::post(io_, [this, drained] { finish_stop(drained); });
  });
}

void Server::finish_stop(bool drained) {
  drained_ = drained;
  if (!drained) spdlog::warn("some documents were not done in time; they are committed and can be resumed");
  for (const auto& [key, weak] : std::unordered_map(context_->connections)) {
    if (const auto connection = weak.lock()) connection->shut_down();
  }
  wait_for_connections(kClosingPolls);
}

void Server::wait_for_connections(int polls) {
  if (context_->connections.empty() || polls == 0) return io_.stop();
  closing_.expires_after(kPoll);
  closing_.async_wait([this, polls](const boost::system::error_code&) { wait_for_connections(polls - 1); });
}

/// A round is a launch of blocks at most. One that takes this long is stuck in a model or a plugin, however
/// well this thread does: systemd should hear of it.
bool Server::engine_goes_on(const EngineStats& stats) const {
  return watchdog_.count() == 0 || stats.round_seconds < std::chrono::duration<double>(watchdog_).count() / 2;
}

/// Every few seconds: the watchdog, systemctl's status line, and memory that nobody needs.
void Server::tick() {
  const EngineStats stats = context_->engine.stats();
  const std::uint64_t tokens = stats.tokens - std::exchange(last_tokens_, stats.tokens);
  ::sd_notifyf(0, "STATUS=%zu documents open, %zu connections, %.0f tokens/s", stats.open_documents,
               context_->connections.size(),
               static_cast<double>(tokens) / std::chrono::duration<double>(tick_).count());
  if (engine_goes_on(stats)) {
    ::sd_notify(0, "WATCHDOG=1");
  } else {
    spdlog::error("the engine has been at one block for {:.0f} s; systemd restarts the daemon if it stays so",
                  stats.round_seconds);
  }
  if (!gave_back_ && context_->connections.empty() && stats.open_documents == 0) {
    ::malloc_trim(0);
    gave_back_ = true;
  }
  ticker_.expires_after(tick_);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

}  // namespace unroll
