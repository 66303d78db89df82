// Prints lines to standard output. A process that was killed and restarted does not repeat lines, if it can
// know them.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"

namespace unroll {

/// Standard output, which several sources share. Thread-safe.
class OutputLines {
 public:
  OutputLines() : writer_("") {}
  void line(std::string_view text);
  void flush();
  /// Flushes, and returns the place in the file after the last line; null if the output is not a regular
  /// file.
  nlohmann::json place();
  /// The file's complete lines after that place; nothing if it is not a place in this file. A line that was
  /// cut off there is completed when it is printed again.
  std::unordered_multiset<std::string> lines_after(const nlohmann::json& place);
  const Terminal& terminal() const { return writer_.terminal(); }

 private:
  std::mutex mutex_;
  ResultWriter writer_;
  std::string cut_off_;   ///< What the file ends with after its last newline.
  bool written_ = false;  ///< A line was printed.
};

/// The lines of one source. If standard output is a regular file, lines that were printed after the last
/// record are not printed again when they come again. A pipe or a terminal cannot be read back: lines that
/// were not recorded are printed again. Not thread-safe.
class PrintedLines {
 public:
  /// `recorded`: what record() returned in an earlier process, or null. `is_own`: whether a line can be of
  /// this source. Borrows `out`.
  PrintedLines(OutputLines& out, const nlohmann::json& recorded,
               const std::function<bool(std::string_view)>& is_own);
  void line(std::string_view text);
  void flush() { out_.flush(); }
  /// The place for the next process.
  nlohmann::json record();
  const Terminal& terminal() const { return out_.terminal(); }

 private:
  OutputLines& out_;
  nlohmann::json recorded_;
  std::unordered_multiset<std::string> printed_;  ///< After the recorded place, while lines still match them.
};

}  // namespace unroll
