#include "client/views/follow_view.h"

#include <algorithm>
#include <utility>

#include "client/cli/text.h"
#include "client/views/rate_text.h"
#include "client/views/record_text.h"
#include "client/views/view.h"
#include "plugins/builtin/records/record.h"

namespace unroll {
namespace {

constexpr std::size_t kShownBytes = 1024;  // of a line
constexpr std::size_t kBeginning = 100;    // columns of a long line before what is odd in it
constexpr std::size_t kBefore = 60;        // bytes before the oddest place
constexpr double kHottest = 10;            // score
constexpr int kRateSeverity = 1;           // a warning

}  // namespace

FollowView::FollowView(FollowViewOptions options, const KeptText& text, EventFilter& filter, OutputLines& out,
                       const nlohmann::json& printed)
    : options_(std::move(options)),
      text_(text),
      filter_(filter),
      lines_(out, printed, [this](std::string_view line) { return is_own(line); }) {}

/// Of several sources, each names itself in its lines.
bool FollowView::is_own(std::string_view line) const {
  if (options_.format == "ndjson") {
    nlohmann::ordered_json begin;
    begin["file"] = options_.name;
    std::string text = to_line(begin);
    text.back() = ',';  // of the closing brace
    return line.starts_with(text);
  }
  return !options_.names_source || line.find("  " + one_line(options_.name) + ": ") != std::string_view::npos;
}

void FollowView::output(const std::string& plugin, const nlohmann::json& data) {
  // Lines have a number; the document's summary, at its end, has none.
  if (plugin != "anomaly" || !data.contains("line")) return print(plugin, data);
  const EventFilter::Verdict verdict = verdict_on(data);
  nlohmann::json judged = data;
  judged.erase("alert");  // the plugin knows no rules and no marks
  if (verdict.is_event && filter_.has_alert_rate()) judged["alert"] = true;
  if (verdict.ignored_by > 0) judged["ignored_by"] = verdict.ignored_by;
  if (!verdict.normal_by.empty()) judged["normal_by"] = verdict.normal_by;
  print(plugin, judged);
  if (!verdict.is_event) return;
  if (options_.event) report(judged);
  if (options_.format != "ndjson") print_event(judged);
}

void FollowView::print(const std::string& plugin, const nlohmann::json& data) {
  if (options_.format != "ndjson") return;
  nlohmann::ordered_json line;
  line["file"] = options_.name;
  line["plugin"] = plugin;
  line["data"] = data;
  lines_.line(to_line(line));
}

EventFilter::Verdict FollowView::verdict_on(const nlohmann::json& line) {
  return filter_.take(number(line, "score"), [&] {
    if (is_rate(line)) return EventFilter::Line{line.value("text", ""), kRateSeverity};
    const auto carried = record_text(text_, line);
    return EventFilter::Line{carried.text, records::record_facts(carried.text, carried.level).severity};
  });
}

void FollowView::report(const nlohmann::json& line) const {
  const auto carried = record_text(text_, line);
  const int severity =
      is_rate(line) ? kRateSeverity : records::record_facts(carried.text, carried.level).severity;
  nlohmann::json event = {{"line", line["line"]},
                          {"score", line["score"]},
                          {"severity", kSeverities.at(static_cast<std::size_t>(severity))},
                          {"text", text_of_line(line)}};
  if (is_rate(line)) event["rate"] = line["rate"];
  const std::string time = carried.time.empty() ? records::record_time(carried.text) : carried.time;
  if (!time.empty()) event["time"] = one_line(time);
  options_.event(std::move(event), is_rate(line) ? line.value("text", "") : carried.text);
}

std::string FollowView::text_of_line(const nlohmann::json& line) const {
  if (is_rate(line)) return rate_text(line);
  const auto carried = record_text(text_, line);
  std::string text = one_line(carried.text);
  // Of a long line also what is odd in it.
  if (text.size() > kShownBytes) {
    const std::size_t odd = line.contains("odd") ? place_in_record(line, carried, whole(line, "odd")) : 0;
    text =
        odd <= kShownBytes
            ? cut(one_line(std::string_view(carried.text).substr(0, kShownBytes)), kShownBytes)
            : cut(text, kBeginning) + " " +
                  one_line(std::string_view(carried.text)
                               .substr(std::min(odd - kBefore, carried.text.size()), kBefore + kShownBytes));
  }
  if (line.contains("number")) text += range_text(line["number"]);
  if (text.empty() && whole(line, "end") > whole(line, "start")) text = "(its text is gone)";
  return text;
}

void FollowView::print_event(const nlohmann::json& line) {
  const double score = number(line, "score");
  std::string text = text_of_line(line);
  if (options_.names_source) text.insert(0, one_line(options_.name) + ": ");
  const Terminal& terminal = lines_.terminal();
  if (terminal.present) text = cut(text, terminal.width - 23);
  lines_.line(right(with_thousands(whole(line, "line")), 10) + "  " +
              heated(terminal, heat_of(score, filter_.threshold(), kHottest), right(fixed(score, 2), 7)) +
              "  " + text);
}

}  // namespace unroll
