#include "client/logs/ruled_views.h"

#include <algorithm>
#include <utility>

#include "client/cli/text.h"
#include "client/logs/log_records.h"
#include "client/views/rate_text.h"
#include "client/views/record_text.h"
#include "plugins/builtin/records/record.h"

namespace unroll {

using nlohmann::json;

IgnoredLines::IgnoredLines(View& view, const Source& log, const IgnoreRules& rules,
                           std::optional<double> alert_rate)
    : view_(view),
      log_(log),
      rules_(rules),
      marks_alerts_(alert_rate.has_value()),
      alert_rate_(alert_rate.value_or(0) / 1000) {}

void IgnoredLines::output(const json& data) {
  if (!data.contains("type")) return take_line(data);
  if (is_rate(data)) return take_rate(data);
  view_.output(type_of(data) == "document" ? with_alerts(data) : data);
}

std::uint64_t IgnoredLines::rule_for(const json& line) const {
  return number(line, "score") > 0 ? rules_.rule_for(record_text(log_, line).text) : 0;
}

void IgnoredLines::take_line(json line) {
  const std::uint64_t rule = rule_for(line);
  if (rule > 0) {
    line["score"] = 0.0;
    line["ignored_by"] = rule;
  }
  line.erase("alert");
  if (marks_alerts_ && alerts(line, number(line, "score"))) line["alert"] = true;
  view_.output(line);
}

/// A record is an alert at most once.
bool IgnoredLines::alerts(const json& line, double score) {
  const std::uint64_t record = whole(line, line.contains("record") ? "record" : "line");
  return alert_rate_.alerts(score) && alerts_.insert(record).second;
}

void IgnoredLines::take_rate(const json& rate) {
  if (rules_.rule_for(rate.value("text", "")) > 0) return;
  json kept = rate;
  kept.erase("alert");
  if (marks_alerts_ && alert_rate_.alerts(number(rate, "score"))) {
    kept["alert"] = true;
    ++rate_alerts_;
  }
  view_.output(kept);
}

json IgnoredLines::with_alerts(json document) const {
  if (marks_alerts_) document["alerts"] = alerts_.size() + rate_alerts_;
  return document;
}

ExplainedLine::ExplainedLine(std::uint64_t line, const Source& log, std::string ignore_file,
                             ResultWriter& writer)
    : line_(line), log_(log), ignore_file_(std::move(ignore_file)), writer_(writer) {}

void ExplainedLine::output(const json& data) {
  if (data.contains("type")) return;
  const std::uint64_t first = whole(data, "line");
  if (line_ < first || line_ >= first + data.value("lines", std::uint64_t{1})) return;
  found_ = true;
  const auto carried = record_text(log_, data);
  const auto facts = records::record_facts(carried.text, carried.level);
  const json& parts = data.at("parts");
  std::string text = "score       " + fixed(number(data, "score"), 2) + "\n";
  const auto part = [&](const char* name, const std::string& why) {
    text += "  " + left(name, 10) + fixed(number(parts, name), 2) + why + "\n";
  };
  part("surprisal", "");
  part("novelty", "");
  part("numbers", data.contains("number") ? range_text(data["number"]) : "");
  part("severity", ": " + severity_reason(facts) + (facts.detail ? "; all counts half" : ""));
  if (data.contains("record"))
    text += "record      begins in line " + std::to_string(whole(data, "record")) + "\n";
  if (data.contains("ignored_by"))
    text += "ignored     by line " + std::to_string(whole(data, "ignored_by")) + " of " + ignore_file_ +
            "; the parts are what the score would be\n";
  text += "line        " + one_line(carried.text) + "\n";
  writer_.write(text);
}

}  // namespace unroll
