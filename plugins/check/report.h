// The report of `unroll plugin check`: one line per check and a verdict as text, or one JSON object.
#pragma once

#include <ostream>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "plugins/check/isolated.h"

namespace unroll::check {

enum class ReportFormat { kText, kColouredText, kJson };

class Report {
 public:
  Report(std::ostream& out, ReportFormat format) : out_(out), format_(format) {}
  void subject(std::string name) { subject_ = std::move(name); }
  void line(const std::string& check, const Line& line) {
    constexpr const char* kNames[] = {"ok", "note", "FAILED"};
    constexpr const char* kColours[] = {"32", "33", "31;1"};
    const auto kind = static_cast<std::size_t>(line.result);
    ++counts_[kind];
    if (format_ == ReportFormat::kJson) {
      lines_.push_back(
          {{"subject", subject_}, {"check", check}, {"result", kNames[kind]}, {"text", line.text}});
      return;
    }
    constexpr std::size_t kResultWidth = 8;
    std::string result = kNames[kind];
    result.resize(kResultWidth, ' ');
    out_ << coloured(kColours[kind], result) << subject_ << ": " << check << ": " << line.text << std::endl;
  }
  /// Ends the report. Returns whether all checks passed.
  bool verdict() {
    const auto [ok, notes, failed] = counts_;
    if (format_ == ReportFormat::kJson) {
      const nlohmann::ordered_json report = {
          {"passed", failed == 0}, {"ok", ok}, {"failed", failed}, {"notes", notes}, {"lines", lines_}};
      out_ << report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else if (failed > 0) {
      out_ << coloured("31;1", "FAILED") << ": " << failed << " of " << ok + failed << " checks\n";
    } else {
      out_ << coloured("32", "PASSED") << ": " << ok << " checks, " << notes
           << (notes == 1 ? " note\n" : " notes\n");
    }
    return failed == 0;
  }

 private:
  std::string coloured(const char* colour, const std::string& text) const {
    return format_ == ReportFormat::kColouredText ? std::string("\x1b[") + colour + "m" + text + "\x1b[0m"
                                                  : text;
  }

  std::ostream& out_;
  ReportFormat format_;
  std::string subject_;
  struct {
    int ok = 0, notes = 0, failed = 0;
    int& operator[](std::size_t kind) { return kind == 0 ? ok : kind == 1 ? notes : failed; }
  } counts_;
  nlohmann::ordered_json lines_ = nlohmann::ordered_json::array();
};

}  // namespace unroll::check
