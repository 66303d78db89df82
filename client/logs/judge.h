// Judges lines against a baseline, and prints them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"
#include "client/logs/baseline.h"
#include "client/logs/ignore_rules.h"
#include "client/logs/line_context.h"
#include "client/logs/log_events.h"
#include "client/logs/log_records.h"
#include "client/views/log_report.h"

namespace unroll {

/// A line's score and what it is made of. 0 is a known line; 5 or more is rare in a good log.
struct Judgement {
  double distance = 0;           ///< To the nearest known line, 0 to 10.
  double severity = 0;           ///< For being more severe than that line.
  builtin::OddNumber number;     ///< Of a known line: far out of the range that its field had.
  std::string known;             ///< The nearest known line; empty if there is none.
  std::uint64_t ignored_by = 0;  ///< The rule.

  double score() const { return ignored_by > 0 ? 0 : distance + severity + number.bonus; }
  /// Of a step of a stack, which says less than the record that it belongs to.
  void limit(double most) {
    distance = std::min(distance, most);
    severity = std::min(severity, most - distance);
  }
};

struct JudgeOptions {
  std::string format;  ///< text, json, ndjson, html
  std::size_t top = 20;
  std::size_t context = 0;  ///< Lines before and after an odd line, in JSON.
  bool numbers = true;      ///< Whether numbers out of range count.
  bool rates = true;        ///< Whether to report lines that stop, or come more often.
};
Judgement judge(GoodLog& good, const LogRecord& record, const IgnoreRules& rules,
                const JudgeOptions& options);

/// {"value":...,"low":...,"high":...}
nlohmann::ordered_json number_of(const builtin::OddNumber& number);

/// Takes the lines of one log after another.
class JudgeView {
 public:
  /// `title`: of the page, if the format is html.
  JudgeView(JudgeOptions options, ResultWriter& writer, const std::string& title);
  void begin_log(const std::string& file);
  void line(const LogRecord& record, const Judgement& judgement);
  /// What is unusual about when lines come, found at this record.
  void rate(const LogRecord& record, const builtin::RateEvent& rate);
  void end_log() { context_.flush(); }
  /// `known_lines`: of the baseline.
  void finish(std::uint64_t known_lines);

 private:
  nlohmann::ordered_json object_of(const LogRecord& record, const Judgement& judgement) const;
  LogEvent event_at(const LogRecord& record) const;
  void add_event(const LogRecord& record, const Judgement& judgement);
  void emit(const nlohmann::ordered_json& object);
  std::string summary(std::uint64_t known_lines) const;
  void write_table(std::uint64_t known_lines);

  JudgeOptions options_;
  ResultWriter& writer_;
  std::optional<LogReport> report_;
  std::string file_;
  std::size_t logs_ = 0;
  std::uint64_t lines_ = 0, objects_ = 0;
  LogEvents events_;
  nlohmann::ordered_json rates_ = nlohmann::ordered_json::array();  ///< If the format is json.
  LineContext context_;
};

}  // namespace unroll
