#include "client/views/follow_view.h"

#include <algorithm>

#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

constexpr std::size_t kShownBytes = 1024;  // of a line
constexpr double kHottest = 10;            // score

}  // namespace

void FollowView::output(const std::string& plugin, const nlohmann::json& data) {
  if (options_.format == "ndjson") {
    nlohmann::ordered_json line;
    line["file"] = options_.name;
    line["plugin"] = plugin;
    line["data"] = data;
    return lines_.line(to_line(line));
  }
  if (!data.contains("line")) return;  // the document's summary, at its end
  const double score = number(data, "score");
  if (options_.alerts ? is_alert(data) : score >= options_.threshold) odd_line(data, score);
}

void FollowView::odd_line(const nlohmann::json& line, double score) {
  const std::uint64_t start = whole(line, "start");
  const std::uint64_t end = std::min(whole(line, "end"), start + kShownBytes);
  std::string text = one_line(pump_.text(start, end));
  if (text.empty() && end > start) text = "(its text is gone)";
  const Terminal& terminal = lines_.terminal();
  if (terminal.present) text = cut(text, terminal.width - 23);
  lines_.line(right(with_thousands(whole(line, "line")), 10) + "  " +
              heated(terminal, heat_of(score, options_.threshold, kHottest), right(fixed(score, 2), 7)) +
              "  " + text);
}

}  // namespace unroll
