// Prints the outputs of a followed document.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "client/follow/kept_text.h"
#include "client/follow/printed_lines.h"

namespace unroll {

struct FollowViewOptions {
  std::string format;    ///< "text": odd lines of the anomaly plugin. "ndjson": every output.
  std::string name;      ///< Of the followed source.
  double threshold = 5;  ///< Minimum score of an odd line.
  bool alerts = false;   ///< Print the lines that the plugin marked as alerts instead.
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
  void odd_line(const nlohmann::json& line, double score);

  FollowViewOptions options_;
  const KeptText& text_;
  PrintedLines lines_;
};

}  // namespace unroll
