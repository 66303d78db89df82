// What stands between the outputs of the plugin anomaly and a view: ignore rules, and a search for one line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>

#include "client/logs/ignore_rules.h"
#include "client/sources/source.h"
#include "client/views/view.h"
#include "plugins/builtin/alert_rate.h"

namespace unroll {

/// Passes on what the plugin says. Lines that a rule matches have score 0 and `ignored_by`, and take no alert
/// from others. Borrows all; `log`: keep_text() was called.
class IgnoredLines : public View {
 public:
  /// `alert_rate`: per 1,000 lines.
  IgnoredLines(View& view, const Source& log, const IgnoreRules& rules, std::optional<double> alert_rate);
  void output(const nlohmann::json& data) override;

 private:
  std::uint64_t rule_for(const nlohmann::json& line) const;
  void take_line(nlohmann::json line);
  void take_rate(const nlohmann::json& rate);
  nlohmann::json with_alerts(nlohmann::json document) const;
  bool alerts(const nlohmann::json& line, double score);

  View& view_;
  const Source& log_;
  const IgnoreRules& rules_;
  const bool marks_alerts_;
  builtin::AlertRate alert_rate_;
  std::unordered_set<std::uint64_t> alerts_;  ///< Lines that begin a record with an alert.
  std::uint64_t rate_alerts_ = 0;
};

/// Prints how the score of one line is made.
class ExplainedLine : public View {
 public:
  ExplainedLine(std::uint64_t line, const Source& log, std::string ignore_file, ResultWriter& writer);
  void output(const nlohmann::json& data) override;
  bool is_found() const { return found_; }

 private:
  const std::uint64_t line_;
  const Source& log_;
  const std::string ignore_file_;
  ResultWriter& writer_;
  bool found_ = false;
};

}  // namespace unroll
