// What is usual of a log beyond its lines: the ranges of their numbers, and when they come.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "client/logs/log_records.h"
#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/number_ranges.h"
#include "plugins/builtin/rate_watch.h"
#include "plugins/builtin/records/times.h"

namespace unroll {

/// A range that holds all that a good log had, and does not narrow.
struct LearnedRange : builtin::NumberRange {
  void update(double value) {
    const bool is_first = count == 0;
    const float lowest = low, highest = high, x = static_cast<float>(value);
    builtin::NumberRange::update(value);
    low = is_first ? x : std::min(lowest, x);
    high = is_first ? x : std::max(highest, x);
  }
};

/// Not thread-safe. Takes constant memory.
class LogHabits {
 public:
  /// Another file of the same log begins: the time between the two does not count.
  void begin_file() { rates_.begin_log(); }
  void learn(const LogRecord& record, const records::TimeFormat& times);
  /// The number of the record that is farthest out of its field's range; learns nothing.
  builtin::OddNumber odd_number(const LogRecord& record) const;
  /// What is unusual about the time at which the record comes. Learns how often records come.
  std::vector<builtin::RateEvent> look(const LogRecord& record, const records::TimeFormat& times);

  std::string save() const;
  /// Throws plugin::StateError.
  void load(std::string_view bytes);
  void visit(auto& archive) { archive(numbers_, rates_); }

 private:
  std::vector<builtin::RateEvent> look_at_time(const LogRecord& record, const builtin::LineShape& shape,
                                               const records::TimeFormat& times);

  builtin::NumberRangesOf<LearnedRange> numbers_;
  builtin::RateWatch rates_;
};

}  // namespace unroll
