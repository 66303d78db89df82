// Whose request the I/O thread carries out next: users take turns, so that one with hundreds of connections
// full of requests delays another user by one request and no more.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace unroll {

/// All on the I/O thread.
class FairTurns : public std::enable_shared_from_this<FairTurns> {
 public:
  using Turn = std::function<void()>;

  explicit FairTurns(boost::asio::io_context& io) : io_(io) {}

  /// `turn` runs later, never from inside: one millisecond's work at most, or a request.
  void ask(std::uint32_t owner, Turn turn) {
    owners_[owner].push_back(std::move(turn));
    schedule();
  }

 private:
  void schedule() {
    if (std::exchange(scheduled_, true)) return;
    boost::asio::post(io_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->run();
    });
  }
  void run() {
    scheduled_ = false;
    auto entry = owners_.upper_bound(last_);
    if (entry == owners_.end()) entry = owners_.begin();
    if (entry == owners_.end()) return;
    last_ = entry->first;
    const Turn turn = std::move(entry->second.front());
    entry->second.pop_front();
    if (entry->second.empty()) owners_.erase(entry);
    if (!owners_.empty()) schedule();
    turn();
  }

  boost::asio::io_context& io_;
  std::map<std::uint32_t, std::deque<Turn>> owners_;  ///< Those who wait.
  std::uint32_t last_ = 0;                            ///< Whose turn it was.
  bool scheduled_ = false;
};

}  // namespace unroll
