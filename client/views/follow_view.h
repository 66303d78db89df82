// Prints the outputs of a followed document.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "client/follow/event_filter.h"
#include "client/follow/kept_text.h"
#include "client/follow/printed_lines.h"

namespace unroll {

/// Of events, by records::RecordFacts::severity.
inline constexpr std::array<const char*, 4> kSeverities = {"info", "warning", "error", "critical"};

struct FollowViewOptions {
  std::string format;         ///< "text": odd lines of the anomaly plugin. "ndjson": every output.
  std::string name;           ///< Of the followed source.
  bool names_source = false;  ///< Each line of text begins with the name, because there are others.
  /// Called with each line that is an event, whatever the format: line, score, severity, text for people and,
  /// if the line has one, time. `text`: what the program wrote. May be empty.
  std::function<void(nlohmann::json event, const std::string& text)> event;
};

/// Not thread-safe. Borrows everything but the options.
class FollowView {
 public:
  /// `printed`: what record() returned in an earlier process, or null.
  FollowView(FollowViewOptions options, const KeptText& text, EventFilter& filter, OutputLines& out,
             const nlohmann::json& printed);
  void output(const std::string& plugin, const nlohmann::json& data);
  void flush() { lines_.flush(); }
  nlohmann::json record() { return lines_.record(); }

 private:
  bool is_own(std::string_view line) const;
  EventFilter::Verdict verdict_on(const nlohmann::json& line);
  void report(const nlohmann::json& line) const;
  std::string text_of_line(const nlohmann::json& line) const;
  void print(const std::string& plugin, const nlohmann::json& data);
  void print_event(const nlohmann::json& line);

  FollowViewOptions options_;
  const KeptText& text_;
  EventFilter& filter_;
  PrintedLines lines_;
};

}  // namespace unroll
