// A cache of the tokens of recent words.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

namespace unroll {

/// Constant size. Each word has one possible entry, and a new word replaces the old one. One thread.
class WordCache {
 public:
  static constexpr std::size_t kMaxBytes = 22, kMaxTokens = 9;

  struct Entry {
    std::array<char, kMaxBytes> word;
    std::uint8_t bytes = 0, tokens = 0;  ///< bytes 0: free.
    std::array<std::int32_t, kMaxTokens> ids;

    bool is(std::string_view other) const {
      return bytes == other.size() && std::memcmp(word.data(), other.data(), bytes) == 0;
    }
    void set(std::string_view other) {
      bytes = static_cast<std::uint8_t>(other.size());
      std::ranges::copy(other, word.begin());
    }
  };

  static bool takes(std::string_view word) { return !word.empty() && word.size() <= kMaxBytes; }
  /// The word's entry, which may hold another word: check is().
  Entry& place(std::string_view word) { return entries_[std::hash<std::string_view>()(word) % kEntries]; }

 private:
  static constexpr std::size_t kEntries = 1 << 14;  // 1 MiB
  std::vector<Entry> entries_{kEntries};
};

}  // namespace unroll
