// Which lines of a followed log are events.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "client/follow/marks.h"
#include "client/logs/ignore_rules.h"
#include "plugins/builtin/alert_rate.h"

namespace unroll {

struct EventFilterOptions {
  double threshold = 5;              ///< Lowest score of an event.
  std::optional<double> alert_rate;  ///< Instead: about this many events per 1,000 lines.
  std::shared_ptr<const IgnoreRules> ignore;
  std::filesystem::path folder;  ///< Of marks.
  std::string scope;             ///< Of marks.
};

/// Ignore rules and marks come before the threshold and the alert rate: what they silence takes no alert from
/// other lines. Not thread-safe.
class EventFilter {
 public:
  /// `recorded`: what record() returned in an earlier process, or null.
  EventFilter(EventFilterOptions options, const nlohmann::json& recorded);

  struct Line {
    std::string text;
    int severity = 0;
  };
  struct Verdict {
    bool is_event = false;
    std::uint64_t ignored_by = 0;  ///< The ignore rule that matches; 0: none.
    std::string normal_by;         ///< The marked event that it is like; empty: none.
  };
  /// To be called for each line, in order. `line` is called only if the text matters.
  Verdict take(double score, const std::function<Line()>& line);

  /// Whether events are alerts, and not lines of a score.
  bool has_alert_rate() const { return options_.alert_rate.has_value(); }
  double threshold() const { return options_.threshold; }
  nlohmann::json record();

 private:
  void silence(const Line& line, Verdict& verdict);

  const EventFilterOptions options_;
  Marks marks_;
  builtin::AlertRate alerts_;
};

}  // namespace unroll
