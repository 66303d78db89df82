// The report of `unroll anomaly --format html`: one self-contained page for one or several logs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/result_writer.h"
#include "client/logs/log_events.h"

namespace unroll {

/// Written while lines arrive. Grows by 24 bytes for each 200 lines. Not thread-safe.
class LogReport {
 public:
  /// Borrows the writer. `title`: of the page.
  LogReport(ResultWriter& writer, const std::string& title);
  /// Lines that follow are of this log.
  void begin_log(const std::string& name);
  void line(std::uint64_t number, double score, std::string_view text);
  /// `summary`: a sentence or two. The events, best first. Call once, at the end.
  void finish(const std::string& summary, const std::vector<const LogEvent*>& events);
  std::uint64_t lines() const { return lines_; }

 private:
  struct Section {
    std::size_t log = 0;
    std::uint64_t first_line = 0, place = 0;  ///< Its first line, in its log and in the page.
  };
  void end_section();
  std::uint64_t place_of(std::size_t log, std::uint64_t line) const;
  void write_event(const LogEvent& event);

  ResultWriter& writer_;
  const std::string title_;
  std::vector<std::string> logs_;
  std::vector<Section> sections_;
  std::string text_, scores_;  ///< Of the section so far.
  std::uint64_t lines_in_section_ = 0, lines_ = 0;
};

}  // namespace unroll
