// Prints lines to standard output. A process that was killed and restarted does not repeat lines, if it can
// know them.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"

namespace unroll {

/// Not thread-safe. If standard output is a regular file, lines after the last recorded position are compared
/// with the file instead of written when they come again. A pipe or a terminal cannot be read back: lines
/// that were not recorded are printed again.
class PrintedLines {
 public:
  /// `recorded`: what record() returned in an earlier process, or null.
  explicit PrintedLines(const nlohmann::json& recorded);
  void line(std::string_view text);
  void flush() { writer_.flush(); }
  /// Flushes, and returns the place in the file after the last line for the next process.
  nlohmann::json record();
  const Terminal& terminal() const { return writer_.terminal(); }

 private:
  ResultWriter writer_;
  std::string printed_;  ///< The file's bytes after the recorded position, while lines still match them.
};

}  // namespace unroll
