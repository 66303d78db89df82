#include "client/logs/log_habits.h"

#include <span>

#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/state.h"

namespace unroll {
namespace {

constexpr std::string_view kTag = "unroll log habits 1";

builtin::LineShape shape_of(const LogRecord& record) {
  return builtin::line_shape(record.text, record.facts.severity);
}

}  // namespace

void LogHabits::learn(const LogRecord& record, const records::TimeFormat& times) {
  if (record.place == records::LinePlace::kFrame) return;
  const auto shape = shape_of(record);
  numbers_.look(record.text, shape.head);
  if (record.place == records::LinePlace::kRecord) look_at_time(record, shape, times);
}

builtin::OddNumber LogHabits::odd_number(const LogRecord& record) const {
  return numbers_.compare(record.text, shape_of(record).head);
}

std::vector<builtin::RateEvent> LogHabits::look(const LogRecord& record, const records::TimeFormat& times) {
  if (record.place != records::LinePlace::kRecord) return {};
  return look_at_time(record, shape_of(record), times);
}

std::vector<builtin::RateEvent> LogHabits::look_at_time(const LogRecord& record,
                                                        const builtin::LineShape& shape,
                                                        const records::TimeFormat& times) {
  const auto time = times.empty() ? records::seconds_of(record.time) : times.find(record.text);
  return rates_.look(shape.whole, record.text, time);
}

std::string LogHabits::save() const {
  return builtin::save_state(*this, kTag);
}

void LogHabits::load(std::string_view bytes) {
  builtin::load_state(*this, std::as_bytes(std::span(bytes)), kTag);
}

}  // namespace unroll
