// The common base of JSON-RPC and HTTP connections: a socket, its peer's uid, a bounded queue of bytes to
// send, and a close that lets the peer read the last bytes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/context.h"
#include "daemon/subscription.h"

namespace unroll {

/// Closes a peer's socket. A separate process closes descriptors still in it, because that may block.
void close_socket(ServerContext& context, Socket& socket);

/// For the I/O thread only.
class Connection : public Subscription::Sink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerContext& context, Socket socket, std::uint32_t owner);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves the peer until either side closes; keeps itself alive until then.
  void start();
  std::uint32_t owner() const { return owner_; }
  bool has_room() const override { return outgoing_bytes() < limit_; }
  /// The daemon stops: informs the peer of unfinished documents and closes after sending everything.
  virtual void shut_down() = 0;
  /// Closes at once.
  void close();
  bool is_open() const { return socket_.is_open(); }
  /// Ends wait_for_signal().
  void signal();

 protected:
  virtual boost::asio::awaitable<void> serve() = 0;
  /// Called when the send queue has room again.
  virtual void on_room() = 0;
  /// Called once when the peer is gone and nothing can be sent any more.
  virtual void on_gone() = 0;

  void send(std::string_view bytes);
  std::size_t outgoing_bytes() const { return pending_.size() + writing_.size(); }
  /// Sends the queue, then shuts down sending and reads what the peer still sends, for a short time, so that
  /// the peer can read the last bytes before it sees a broken connection.
  boost::asio::awaitable<void> finish();
  /// Suspends until signal() or close(); returns at once if a signal came since the last wait.
  boost::asio::awaitable<void> wait_for_signal();
  /// Suspends until FairTurns schedules this connection; call it before each piece of work that takes time.
  boost::asio::awaitable<void> wait_for_turn();

  enum class Arrival { kBytes, kDescriptors, kTimeout, kInterrupted, kEnd };
  /// Suspends until the peer sends something. kBytes: the bytes were received, and arrived() is valid until
  /// the next suspension. kDescriptors: the descriptors and arrived_bytes() bytes with them are left in the
  /// socket.
  boost::asio::awaitable<Arrival> arrival(std::optional<std::chrono::milliseconds> time);
  std::string_view arrived() const { return {context_.scratch.data(), arrived_}; }
  std::size_t arrived_bytes() const { return arrived_; }
  /// Ends arrival() with kInterrupted; sending continues.
  void interrupt();

  const std::shared_ptr<ServerContext> shared_context_;
  ServerContext& context_;
  Socket socket_;
  /// The peer's uid, or the owner that its last request's token gives. Changes only between requests.
  std::uint32_t owner_;
  const Subscription::QueuedBytes queued_ = std::make_shared<std::atomic<std::size_t>>(0);

 private:
  void write_next();
  void write_rest(std::size_t from);
  void on_written(bool all);
  void gone();

  const std::size_t limit_;
  std::string pending_, writing_;
  std::size_t arrived_ = 0;
  boost::asio::steady_timer patience_, turn_;
  boost::asio::steady_timer signal_;
  bool signalled_ = false;
  bool gone_ = false;
};

}  // namespace unroll
