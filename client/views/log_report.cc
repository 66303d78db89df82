// The page holds the text as text, in sections of lines. Each section has its lines' scores in an attribute,
// and a script cuts it into lines when it comes into view. The events, known only at the end, are moved
// before the lines by the style sheet.
#include "client/views/log_report.h"

#include <algorithm>
#include <utility>

#include "client/cli/text.h"
#include "client/views/event_text.h"
#include "client/views/log_report_page.h"
#include "client/views/log_report_script.h"
#include "client/views/page.h"

namespace unroll {
namespace {

constexpr std::uint64_t kSectionLines = 200;
constexpr std::size_t kSectionBytes = 64 * 1024;  // a section ends with the first line past this
constexpr std::size_t kMostText = 4096;           // bytes of a line
constexpr std::size_t kShownNeighbours = 3;       // of an event

/// As the script colours lines.
std::string level_of(double score) {
  constexpr double kLevels[] = {1, 2, 3.5, 5, 7, 9, 12, 15};
  const auto level =
      std::count_if(std::begin(kLevels), std::end(kLevels), [&](double least) { return score >= least; });
  return "c" + std::to_string(level);
}

std::string shown(std::string_view text) {
  return page_text(one_line(text)).html;
}

}  // namespace

LogReport::LogReport(ResultWriter& writer, const std::string& title) : writer_(writer), title_(title) {
  writer_.write(std::string(kPageHead) + "<title>" + shown(title) + " - unroll</title>\n" +
                std::string(kPageStyle) + std::string(kLogReportStyle) + "<main tabindex=0>\n");
}

void LogReport::begin_log(const std::string& name) {
  end_section();
  logs_.push_back(name);
  writer_.write("<h2>" + shown(name) + "</h2>\n");
}

void LogReport::line(std::uint64_t number, double score, std::string_view text) {
  const bool follows = lines_in_section_ > 0 && number == sections_.back().first_line + lines_in_section_;
  if (!follows || lines_in_section_ == kSectionLines || text_.size() > kSectionBytes) {
    end_section();
    sections_.push_back({logs_.size() - 1, number, lines_});
  }
  std::string one(text.substr(0, kMostText));
  std::replace(one.begin(), one.end(), '\n', ' ');
  text_ += page_text(one).html + "\n";
  scores_ += page_hundredths(score);
  ++lines_in_section_;
  ++lines_;
}

void LogReport::end_section() {
  if (lines_in_section_ == 0) return;
  const Section& section = sections_.back();
  writer_.write("<section data-f=" + std::to_string(section.log) + " data-n=" +
                std::to_string(section.first_line) + " data-s=\"" + scores_ + "\">" + text_ + "</section>\n");
  text_.clear();
  scores_.clear();
  lines_in_section_ = 0;
}

/// In the page.
std::uint64_t LogReport::place_of(std::size_t log, std::uint64_t line) const {
  const auto after = std::upper_bound(sections_.begin(), sections_.end(), std::pair(log, line),
                                      [](const auto& wanted, const Section& section) {
                                        return wanted < std::pair(section.log, section.first_line);
                                      });
  if (after == sections_.begin()) return 0;
  const Section& section = *std::prev(after);
  return section.place + (line - section.first_line);
}

void LogReport::finish(const std::string& summary, const std::vector<const LogEvent*>& events) {
  end_section();
  writer_.write("</main>\n<header>\n<h1>" + shown(title_) + "</h1>\n<p>" + shown(summary) +
                "</p>\n</header>\n" + std::string(kLogReportControls) +
                "<nav aria-label=\"unusual lines\">\n");
  if (events.empty()) writer_.write("<p>Nothing is unusual.</p>\n");
  writer_.write("<ol>\n");
  for (const LogEvent* event : events) write_event(*event);
  writer_.write("</ol>\n</nav>\n" + std::string(kLogReportMap) + std::string(kLogReportScript));
}

void LogReport::write_event(const LogEvent& event) {
  std::string place = logs_.size() > 1 ? logs_[event.log] + ":" : "line ";
  place += logs_.size() > 1 ? std::to_string(event.line) : with_thousands(event.line);
  if (const std::string span = span_text(event); !span.empty()) place += " of " + span;
  if (event.count > 1) place += ", " + with_thousands(event.count) + " times";
  if (!event.time.empty()) place += ", " + event.time;
  if (!event.parts.empty()) place += ", " + event.parts;
  writer_.write("<li><a href=# data-at=" + std::to_string(place_of(event.log, event.line)) +
                "><b class=" + level_of(event.score) + ">" + fixed(event.score, 2) + "</b><code>" +
                shown(cut(one_line(event.told_text()), 400)) + "</code><span>" + shown(place) + "</span>");
  if (!event.known.empty())
    writer_.write("<code class=known>known: " + shown(cut(one_line(event.known), 400)) + "</code>");
  for (std::size_t i = 0; i < std::min(kShownNeighbours, event.neighbours.size()); ++i)
    writer_.write("<code class=known>with " + std::to_string(event.neighbours[i].line) + ": " +
                  shown(cut(one_line(event.neighbours[i].text), 200)) + "</code>");
  writer_.write("</a></li>\n");
}

}  // namespace unroll
