// Prints the outputs of a followed document.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "client/follow/kept_text.h"
#include "client/follow/printed_lines.h"

namespace unroll {

/// Of events, by records::RecordFacts::severity.
inline constexpr std::array<const char*, 4> kSeverities = {"info", "warning", "error", "critical"};

struct FollowViewOptions {
  std::string format;    ///< "text": odd lines of the anomaly plugin. "ndjson": every output.
  std::string name;      ///< Of the followed source.
  double threshold = 5;  ///< Minimum score of an odd line.
  bool alerts = false;   ///< Print the lines that the plugin marked as alerts instead.
  /// Called with each line that is an event, whatever the format: line, score, severity, text and, if the
  /// line has one, time. May be empty.
  std::function<void(nlohmann::json event)> event;
};

/// Not thread-safe. Borrows the lines' text.
class FollowView {
 public:
  FollowView(FollowViewOptions options, const KeptText& text, const nlohmann::json& recorded)
      : options_(std::move(options)), text_(text), lines_(recorded) {}
  void output(const std::string& plugin, const nlohmann::json& data);
  void flush() { lines_.flush(); }
  nlohmann::json record() { return lines_.record(); }

 private:
  bool is_event(const nlohmann::json& line) const;
  nlohmann::json event_of(const nlohmann::json& line) const;
  std::string text_of_line(const nlohmann::json& line) const;
  void print(const nlohmann::json& line);

  FollowViewOptions options_;
  const KeptText& text_;
  PrintedLines lines_;
};

}  // namespace unroll
