// Lines to standard output that a process which is killed and started again prints once, where it can be
// known.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"

namespace unroll {

/// One thread. Where standard output is a regular file, it holds what was printed: lines behind the place
/// that was recorded last come again and are compared instead of written. Nothing can be known of a pipe or a
/// terminal: what was not recorded is printed again.
class PrintedLines {
 public:
  /// `recorded`: what record() gave an earlier process, or null.
  explicit PrintedLines(const nlohmann::json& recorded);
  void line(std::string_view text);
  void flush() { writer_.flush(); }
  /// All of it is out now; what the file's size says of it.
  nlohmann::json record();
  const Terminal& terminal() const { return writer_.terminal(); }

 private:
  ResultWriter writer_;
  std::string printed_;  ///< The file's bytes behind the recorded place, as long as lines are like them.
};

}  // namespace unroll
