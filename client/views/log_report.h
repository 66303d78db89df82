// The report of `unroll anomaly --format html`: one self-contained page for one or several logs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"
#include "client/sources/log_text.h"
#include "client/sources/source.h"
#include "client/views/view.h"

namespace unroll {

/// What the report lists: an odd line, or several that are alike.
struct ReportEvent {
  double score = 0;
  std::uint64_t count = 1;
  std::size_t log = 0;  ///< By its number in the report.
  std::uint64_t line = 0;
  std::string text, time, known;
  std::string parts;  ///< What the score is made of, for people; may be empty.
};

/// Written while lines arrive. Grows by 24 bytes for each 200 lines. Not thread-safe.
class LogReport {
 public:
  /// Borrows the writer. `title`: of the page.
  LogReport(ResultWriter& writer, const std::string& title);
  /// Lines that follow are of this log.
  void begin_log(const std::string& name);
  void line(std::uint64_t number, double score, std::string_view text);
  /// `summary`: a sentence or two. The events, best first. Call once, at the end.
  void finish(const std::string& summary, const std::vector<ReportEvent>& events);
  std::uint64_t lines() const { return lines_; }

 private:
  struct Section {
    std::size_t log = 0;
    std::uint64_t first_line = 0, place = 0;  ///< Its first line, in its log and in the page.
  };
  void end_section();
  std::uint64_t place_of(std::size_t log, std::uint64_t line) const;
  void write_event(const ReportEvent& event);

  ResultWriter& writer_;
  const std::string title_;
  std::vector<std::string> logs_;
  std::vector<Section> sections_;
  std::string text_, scores_;  ///< Of the section so far.
  std::uint64_t lines_in_section_ = 0, lines_ = 0;
};

/// Ends a report of views: the best events of all logs, at most `top`.
void finish_report(LogReport& report, std::vector<ReportEvent> events, std::size_t top);

/// The view of anomaly without a baseline: adds a log to the report. `source`: keep_text() was called.
/// `events`: takes the oddest lines. Borrows all.
std::unique_ptr<View> make_report_view(LogReport& report, const Source& source, std::size_t log,
                                       std::vector<ReportEvent>& events);

}  // namespace unroll
