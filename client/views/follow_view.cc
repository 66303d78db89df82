#include "client/views/follow_view.h"

#include <algorithm>
#include <cmath>

#include "client/cli/text.h"
#include "client/views/view.h"
#include "plugins/builtin/records/record.h"

namespace unroll {
namespace {

constexpr std::size_t kShownBytes = 1024;  // of a line
constexpr std::size_t kBeginning = 100;    // columns of a long line before what is odd in it
constexpr std::uint64_t kBefore = 60;      // bytes before the oddest place
constexpr double kHottest = 10;            // score

/// "  (503: 200 to 200 before)"
std::string range_of(const nlohmann::json& number) {
  const auto shown = [&](const char* key) {
    const double value = ::unroll::number(number, key);
    return fixed(value, value == std::floor(value) ? 0 : 2);
  };
  return "  (" + text_of(number, "value") + ": " + shown("low") + " to " + shown("high") + " before)";
}

}  // namespace

void FollowView::output(const std::string& plugin, const nlohmann::json& data) {
  if (options_.format == "ndjson") {
    nlohmann::ordered_json line;
    line["file"] = options_.name;
    line["plugin"] = plugin;
    line["data"] = data;
    lines_.line(to_line(line));
  }
  if (plugin != "anomaly" || !is_event(data)) return;
  if (options_.event) options_.event(event_of(data));
  if (options_.format != "ndjson") print(data);
}

bool FollowView::is_event(const nlohmann::json& data) const {
  if (!data.contains("line")) return false;  // the document's summary, at its end
  return options_.alerts ? is_alert(data) : number(data, "score") >= options_.threshold;
}

nlohmann::json FollowView::event_of(const nlohmann::json& line) const {
  const std::uint64_t start = whole(line, "start"), end = whole(line, "end");
  const auto carried =
      records::carried_text(text_.text(start, std::min(end, start + records::kMostRecordBytes)));
  nlohmann::json event = {
      {"line", line["line"]},
      {"score", line["score"]},
      {"severity",
       kSeverities.at(static_cast<std::size_t>(records::record_facts(carried.text, carried.level).severity))},
      {"text", text_of_line(line)}};
  const std::string time = carried.time.empty() ? records::record_time(carried.text) : carried.time;
  if (!time.empty()) event["time"] = one_line(time);
  return event;
}

std::string FollowView::text_of_line(const nlohmann::json& line) const {
  const std::uint64_t start = whole(line, "start"), end = whole(line, "end");
  // Of a long line also what is odd in it.
  std::string bytes = text_.text(start, std::min(end, start + kShownBytes));
  if (const std::uint64_t odd = line.contains("odd") ? whole(line, "odd") : 0; odd > start + kShownBytes)
    bytes = cut(bytes, kBeginning) + " " + text_.text(odd - kBefore, std::min(end, odd + kShownBytes));
  std::string text = one_line(records::carried_text(bytes).text);
  if (line.contains("number")) text += range_of(line["number"]);
  if (text.empty() && end > start) text = "(its text is gone)";
  return text;
}

void FollowView::print(const nlohmann::json& line) {
  const double score = number(line, "score");
  std::string text = text_of_line(line);
  const Terminal& terminal = lines_.terminal();
  if (terminal.present) text = cut(text, terminal.width - 23);
  lines_.line(right(with_thousands(whole(line, "line")), 10) + "  " +
              heated(terminal, heat_of(score, options_.threshold, kHottest), right(fixed(score, 2), 7)) +
              "  " + text);
}

}  // namespace unroll
