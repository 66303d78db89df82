// Collects the most probable tokens of a row whose logits come in pieces, in any order and from several
// threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

namespace unroll {

class TopTokens {
 public:
  struct Token {
    float logit;
    std::int32_t id;
    /// More probable; if equal, lower id.
    bool operator<(const Token& other) const {
      return logit != other.logit ? logit > other.logit : id < other.id;
    }
  };

  explicit TopTokens(std::size_t count = 0) : count_(count) { tokens_.reserve(count); }

  /// Adds the logits of the tokens from `first` on. From any thread.
  void add(std::int32_t first, std::span<const float> logits) {
    if (count_ == 0) return;
    const float least = least_.load(std::memory_order_relaxed);  // of the best so far; it only rises
    std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] < least) continue;
      if (!lock.owns_lock()) lock.lock();
      const bool is_number = logits[i] == logits[i];
      insert({is_number ? logits[i] : -std::numeric_limits<float>::infinity(),
              first + static_cast<std::int32_t>(i)});
    }
  }
  /// The most probable first. Call once, after the last add().
  std::span<const Token> sorted();

 private:
  void insert(Token token);

  std::size_t count_;
  std::atomic<float> least_{-std::numeric_limits<float>::infinity()};
  std::mutex mutex_;
  std::vector<Token> tokens_;  // a heap; the least probable is first
};

}  // namespace unroll
