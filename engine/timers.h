// Timers of documents. Not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "engine/document.h"

namespace unroll {

class Timers {
 public:
  using TimePoint = OpenDocument::TimePoint;
  void add(TimePoint time, OpenDocument& document) { entries_[{time, document.number}] = &document; }
  void remove(TimePoint time, const OpenDocument& document) { entries_.erase({time, document.number}); }
  std::optional<TimePoint> first() const {
    return entries_.empty() ? std::nullopt : std::optional(entries_.begin()->first.first);
  }
  /// Removes and returns a document whose time has come; null if there is none.
  OpenDocument* take_due(TimePoint now) {
    if (entries_.empty() || entries_.begin()->first.first > now) return nullptr;
    return entries_.extract(entries_.begin()).mapped();
  }

 private:
  std::map<std::pair<TimePoint, std::uint64_t>, OpenDocument*> entries_;
};

}  // namespace unroll
