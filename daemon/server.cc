#include "daemon/server.h"

#include <algorithm>
#include <cstdint>
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
#include "daemon/server_info.h"

namespace unroll {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kTick{2000};
constexpr std::chrono::milliseconds kPoll{20};
constexpr std::chrono::seconds kResumeTime{10};
/// How long after the drain connections and threads may take to end, and then the rest. A container's stop
/// kills 10 s after SIGTERM: the drain of the Dockerfile and the first of these times must fit in.
constexpr std::chrono::seconds kStopTime{4}, kTeardownTime{6};
constexpr int kClosingPolls = 120;  // 2.4 s: slightly longer than a connection lingers
/// A refused connection has this long to send a first byte, which shows whether it speaks HTTP or JSON-RPC.
constexpr std::chrono::milliseconds kRefusalTime{500};
constexpr std::size_t kMostRefusing = 32;

std::chrono::milliseconds watchdog_time() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return {};
  return std::chrono::milliseconds(microseconds / 1000);
}

/// Ends the process even if something still blocks (an in-process plugin that never returns, a disk).
/// `awaited`: what the stop waits for; null after it.
void end_at_the_latest(std::chrono::milliseconds drain,
                       std::shared_ptr<const std::atomic<const char*>> awaited) {
  std::thread([drain, awaited = std::move(awaited)] {
    const auto end = [&awaited](std::chrono::milliseconds time) {
      const char* what = *awaited;
      spdlog::critical(
          "not stopped within {} ms, because {}: ending at once; documents continue from their "
          "last commit",
          time.count(), what == nullptr ? "memory is still being freed" : what);
      std::_Exit(1);
    };
    std::this_thread::sleep_for(drain + kStopTime);
    if (*awaited != nullptr) end(drain + kStopTime);
    std::this_thread::sleep_for(kTeardownTime);
    end(drain + kStopTime + kTeardownTime);
  }).detach();
}

bool begins_json(char first) {
  return first == '{' || first == '[' || first == ' ' || first == '\t' || first == '\r' || first == '\n';
}

}  // namespace

/// A connection that has not sent its first byte: counted while this exists, and closed with it.
struct Server::Greeted {
  Greeted(std::shared_ptr<ServerContext> shared, Socket accepted)
      : context(std::move(shared)), socket(std::move(accepted)) {
    // An out-of-band byte could carry a descriptor unnoticed; in line it is noticed.
    const int on = 1;
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  }
  ~Greeted() {
    forget();
    close_socket(*context, socket);
  }
  Greeted(const Greeted&) = delete;
  Greeted& operator=(const Greeted&) = delete;

  void count(std::uint32_t uid) {
    owner = uid;
    entry = context->greeting.insert(uid);
  }
  void forget() {
    if (const auto counted = std::exchange(entry, std::nullopt)) context->greeting.erase(*counted);
  }

  const std::shared_ptr<ServerContext> context;
  Socket socket;
  std::uint32_t owner = 0;
  std::optional<std::unordered_multiset<std::uint32_t>::iterator> entry;
};

Server::Server(asio::io_context& io, Engine& engine, std::vector<ModelSource> models, const Config& config,
               Events& events, SocketFile socket, Reloader::Load load)
    : io_(io),
      context_(std::make_shared<ServerContext>(io, engine, config, events)),
      file_(std::move(socket)),
      reloader_(io, engine, context_->models, events, std::move(load)),
      listener_(io, events, UniqueFd(file_.release()), AF_UNIX,
                [this](Socket socket) { welcome(std::move(socket)); }),
      termination_(io, SIGTERM, SIGINT),
      hangup_(io, SIGHUP),
      ticker_(io),
      closing_(io),
      watchdog_(watchdog_time()),
      tick_(watchdog_.count() > 0 ? std::min(kTick, watchdog_ / 4) : kTick) {
  context_->models.set(std::move(models), engine.revision());
  context_->reload = [this](Reloader::Done done) { reload(std::move(done)); };
}

Server::~Server() {
  context_->reload = nullptr;
  if (drainer_.joinable()) drainer_.join();
  reloader_.stop();
  context_->models.stop();
  context_->parsers.join();
  context_->journal_jobs.join();
  context_->openers.join();
  // Handlers still queued in the io_context must not use the engine or this object.
  for (const auto& [key, weak] : std::exchange(context_->connections, {})) {
    if (const auto connection = weak.lock()) connection->close();
  }
  *awaited_ = nullptr;
}

bool Server::run() {
  wait_for_termination();
  wait_for_hangup();
  // First resume the documents that are files, so that their clients find them open; a file system that does
  // not answer must not delay this for long.
  const auto opened = std::make_shared<asio::steady_timer>(io_, kResumeTime);
  opened->async_wait([this, opened](const boost::system::error_code&) { serve(); });
  resume_files(*context_, [this, weak = std::weak_ptr(opened)] {
    asio::post(io_, [weak] {
      if (const auto timer = weak.lock()) timer->cancel();
    });
  });
  tick();
  io_.run();
  return drained_;
}

void Server::serve() {
  if (stopping_) return;
  for (auto& connection : std::exchange(adopted_, {}))
    welcome(Socket(io_, asio::generic::stream_protocol(AF_UNIX, 0), connection.release()));
  listener_.start();
  spdlog::info("listening on {}", file_.description());
  if (http_) http_->start();
  if (!user_namespace_is_whole()) {
    spdlog::warn("the daemon's user namespace does not contain all users: users outside of it are refused");
  }
  context_->not_ready = nullptr;
  ::sd_notify(0, "READY=1");
}

void Server::listen_http(HttpDoor door) {
  http_.emplace(*context_, std::move(door));
}

/// The tokens first: a revoked one must not wait for a model, nor depend on it.
void Server::reload(Reloader::Done done) {
  try {
    if (http_) http_->read_tokens();
  } catch (const Error& error) {
    context_->events.not_reloaded(error);
    return done(error);
  }
  reloader_.reload(std::move(done));
}

void Server::welcome(Socket socket) {
  asio::co_spawn(io_, greet(std::make_shared<Greeted>(context_, std::move(socket))), asio::detached);
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
    reload([](const std::optional<Error>&) {});  // the result is logged
    wait_for_hangup();
  });
}

/// The peer's first byte, which stays in the socket; 0 if none arrives in time.
asio::awaitable<char> Server::first_byte(Socket& socket, std::chrono::milliseconds time) {
  asio::steady_timer timer(io_, time);
  const auto waiting = std::make_shared<bool>(true);
  timer.async_wait([waiting, &socket](const boost::system::error_code& cancelled) {
    boost::system::error_code ignored;
    if (!cancelled && *waiting) socket.cancel(ignored);
  });
  boost::system::error_code error;
  co_await socket.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
  *waiting = false;
  char first = 0;
  if (error || ::recv(socket.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1) co_return 0;
  co_return first;
}

/// Refuses in HTTP if the peer uses HTTP.
asio::awaitable<void> Server::refuse(Socket& socket, std::uint32_t owner, const Error& refused) {
  context_->events.refused(refused, owner);
  char first = 0;
  if (refusing_ < kMostRefusing) {
    ++refusing_;
    first = co_await first_byte(socket, kRefusalTime);
    --refusing_;
  }
  const std::string text =
      first == 0 || begins_json(first) ? error_line(nullptr, refused) : HttpAnswer{}.error(refused);
  ::send(socket.native_handle(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// Why this connection is refused; null if it is accepted, and then counted.
std::unique_ptr<const Error> Server::refusal(Greeted& peer) const {
  try {
    peer.count(peer_uid(peer.socket.native_handle()));
    if (context_->tokens && peer.owner >= kFirstTokenOwner) {
      throw Error(
          ErrorCode::kPermission,
          "your uid is one of those that users with a token have (from 2147483648 on); connect over TCP with "
          "one");
    }
    context_->check_connections(peer.owner);
    return nullptr;
  } catch (const LimitError& error) {
    return std::make_unique<const LimitError>(error);
  } catch (const Error& error) {
    return std::make_unique<const Error>(error);
  }
}

/// The first byte distinguishes JSON-RPC from HTTP.
asio::awaitable<void> Server::greet(std::shared_ptr<Greeted> peer) {
  const std::unique_ptr<const Error> refused = refusal(*peer);
  if (refused) {
    peer->forget();
    co_await refuse(peer->socket, peer->owner, *refused);
    co_return;
  }
  const char first =
      co_await first_byte(peer->socket, std::chrono::milliseconds(context_->config.request_timeout_ms));
  if (first == 0 || stopping_) co_return;
  gave_back_ = false;
  if (begins_json(first)) {
    std::make_shared<RpcSession>(*context_, std::move(peer->socket), peer->owner)->start();
  } else {
    std::make_shared<HttpSession>(*context_, std::move(peer->socket), peer->owner)->start();
  }
}

void Server::begin_stop() {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("stopping: {} open documents may continue for {} ms", context_->engine.stats().open_documents,
               context_->config.drain_ms);
  context_->not_ready = "stopping";
  ::sd_notify(0, "STOPPING=1");
  listener_.close();
  if (http_) http_->close();
  file_.remove();
  const std::chrono::milliseconds drain(context_->config.drain_ms);
  end_at_the_latest(drain, awaited_);
  drainer_ = std::thread([this, drain] {
    const bool drained = context_->engine.drain(drain);
    asio::post(io_, [this, drained] { finish_stop(drained); });
    context_->engine.stop();
    *awaited_ =
        "a model that is being loaded, a plugin's instance that is being created, or the journal's disk "
        "takes too long";
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

/// A round is at most one launch of blocks. If one takes this long, it is stuck in the model or a plugin,
/// even if this thread runs: then do not report to systemd.
bool Server::engine_goes_on(const EngineStats& stats) const {
  return watchdog_.count() == 0 || stats.round_seconds < std::chrono::duration<double>(watchdog_).count() / 2;
}

/// Every few seconds: the watchdog, systemctl's status line, and freeing unused memory.
void Server::tick() {
  const EngineStats stats = context_->engine.stats();
  const std::uint64_t tokens = stats.tokens - std::exchange(last_tokens_, stats.tokens);
  ::sd_notifyf(0, "STATUS=%zu documents open, %zu connections, %.0f tokens/s", stats.open_documents,
               context_->connections.size(),
               static_cast<double>(tokens) / std::chrono::duration<double>(tick_).count());
  if (engine_goes_on(stats)) ::sd_notify(0, "WATCHDOG=1");
  const bool still = engine_stands_still(*context_, stats) || !engine_goes_on(stats);
  if (still && !std::exchange(stands_still_, still))
    spdlog::error(
        "the engine has been at one block for {:.0f} s; systemd restarts the daemon if this continues",
        stats.round_seconds);
  stands_still_ = still;
  context_->sources.tidy();
  context_->openers.refuse_stuck(std::chrono::milliseconds(context_->config.opening_timeout_ms));
  if (tokens > 0) gave_back_ = false;
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
