// Schedules requests on the I/O thread round-robin over users, so that a user with hundreds of busy
// connections delays another user by at most one request.
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

/// For the I/O thread only.
class FairTurns : public std::enable_shared_from_this<FairTurns> {
 public:
  using Turn = std::function<void()>;

  explicit FairTurns(boost::asio::io_context& io) : io_(io) {}

  /// Runs `turn` later, never from inside this call. It should take at most 1 ms, or be one request.
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
  std::map<std::uint32_t, std::deque<Turn>> owners_;  ///< Users with waiting requests.
  std::uint32_t last_ = 0;                            ///< The user served last.
  bool scheduled_ = false;
};

}  // namespace unroll
