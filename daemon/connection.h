// What JSON-RPC and HTTP connections have in common: a socket, who is at its other end, a bounded queue of
// bytes to send, and an end that lets the peer read the last word.
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

/// Closes a peer's socket. Descriptors that are still in it are closed by a process for that: it may wait.
void close_socket(ServerContext& context, Socket& socket);

/// All on the I/O thread.
class Connection : public Subscription::Sink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerContext& context, Socket socket, std::uint32_t owner);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves the peer until either side is done; keeps itself alive meanwhile.
  void start();
  std::uint32_t owner() const { return owner_; }
  bool has_room() const override { return outgoing_bytes() < limit_; }
  /// The daemon stops: tells the peer of unfinished documents and closes once everything is sent.
  virtual void shut_down() = 0;
  /// Closes now.
  void close();
  bool is_open() const { return socket_.is_open(); }
  /// Ends wait_for_signal().
  void signal();

 protected:
  virtual boost::asio::awaitable<void> serve() = 0;
  /// There is room again for what was held back.
  virtual void on_room() = 0;
  /// The peer is gone, nothing can be sent any more. Called once.
  virtual void on_gone() = 0;

  void send(std::string_view bytes);
  std::size_t outgoing_bytes() const { return pending_.size() + writing_.size(); }
  /// Sends what is queued, then ends the sending side and reads what the peer still sends, for a short while,
  /// so that it can read our last word before it sees a broken connection.
  boost::asio::awaitable<void> finish();
  /// Suspends until signal() or close(); returns at once if a signal came since the last wait.
  boost::asio::awaitable<void> wait_for_signal();
  /// Suspends until it is this connection's turn: before each piece of work that takes time.
  boost::asio::awaitable<void> wait_for_turn();

  enum class Arrival { kBytes, kDescriptors, kTimeout, kInterrupted, kEnd };
  /// Suspends until the peer sends something, then takes it: kBytes, arrived() has them until the next
  /// suspension. Descriptors and the bytes that they came with are left where they are: arrived_bytes() of
  /// them.
  boost::asio::awaitable<Arrival> arrival(std::optional<std::chrono::milliseconds> time);
  std::string_view arrived() const { return {context_.scratch.data(), arrived_}; }
  std::size_t arrived_bytes() const { return arrived_; }
  /// Ends arrival() with kInterrupted; what is being sent goes on.
  void interrupt();

  const std::shared_ptr<ServerContext> shared_context_;
  ServerContext& context_;
  Socket socket_;
  const std::uint32_t owner_;  ///< The peer's uid.
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
