// The interface of the pumps that make an endless document for `unroll follow`.
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

/// The last bytes of the document, to show an odd line. Thread-safe.
class RecentText {
 public:
  /// Adds the bytes at `offset` of the document; drops the earlier bytes if they are not contiguous.
  void add(std::uint64_t offset, std::string_view bytes);
  /// Bytes [begin, end); empty if not all of them are kept.
  std::string text(std::uint64_t begin, std::uint64_t end) const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t begin_ = 0;
  std::deque<char> bytes_;
};

/// Knows the origin of each part of the document: its pieces, which are saved as JSON.
class FollowedPump : public Pump {
 public:
  struct Hooks {
    /// Called with new pieces before any of their bytes is written, so that every byte of a document can be
    /// located.
    std::function<void(const nlohmann::json& pieces)> remember;
    std::function<void(const std::string& text)> note;  ///< Messages for the user.
  };

  /// Before begin(): starts a new document, whose first byte is the earlier document's byte `offset`.
  virtual void begin_anew(std::uint64_t offset) = 0;
  /// Bytes [begin, end) of the document; empty if they are gone. Thread-safe.
  virtual std::string text(std::uint64_t begin, std::uint64_t end) = 0;
};

}  // namespace unroll
