// What `unroll follow` asks of whoever makes its endless document.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "client/sources/pump.h"

namespace unroll {

/// The last bytes of the document, to show an odd line. Any thread.
class RecentText {
 public:
  /// What begins at `offset` of the document; forgets the rest where it does not follow on.
  void add(std::uint64_t offset, std::string_view bytes);
  /// Bytes [begin, end), or nothing where they are not all here.
  std::string text(std::uint64_t begin, std::uint64_t end) const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t begin_ = 0;
  std::deque<char> bytes_;
};

/// Knows where each part of the document came from: its pieces, which outlive the process as JSON.
class FollowedPump : public Pump {
 public:
  struct Hooks {
    /// New pieces, told before any of their bytes goes out, so that a document's every byte can be found
    /// again.
    std::function<void(const nlohmann::json& pieces)> remember;
    std::function<void(const std::string& text)> note;  ///< For people.
  };

  /// Before begin(): a new document, whose first byte is the earlier one's byte `offset`.
  virtual void begin_anew(std::uint64_t offset) = 0;
  /// Bytes [begin, end) of the document; empty where they cannot be found any more. Any thread.
  virtual std::string text(std::uint64_t begin, std::uint64_t end) = 0;
};

}  // namespace unroll
