// What JSON-RPC and HTTP connections have in common: a socket, who is at its other end, a bounded queue of
// bytes to send, and an end that lets the peer read the last word.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/context.h"
#include "daemon/subscription.h"

namespace unroll {

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
  /// Suspends until signal() or close(); returns at once where a signal came since the last wait.
  boost::asio::awaitable<void> wait_for_signal();
  void signal();
  /// Whoever waits for the peer's bytes gets operation_aborted; what is being sent goes on.
  void interrupt();
  bool is_open() const { return socket_.is_open(); }

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
  boost::asio::steady_timer signal_;
  bool signalled_ = false;
  bool gone_ = false;
};

}  // namespace unroll
