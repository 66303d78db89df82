// Writes results to standard output or to the file of --out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "client/cli/terminal.h"

namespace unroll {

/// Buffered; not thread-safe. Throws CommandError, which names the file, if a write fails (a full disk).
class ResultWriter {
 public:
  /// An empty path: standard output. An existing file is overwritten.
  explicit ResultWriter(const std::filesystem::path& file);
  void write(std::string_view text);
  /// Ends a line. Flushes if results come slowly, so that a pipe's reader gets them without delay.
  void end_line();
  /// Must be called at the end: the destructor does not report errors.
  void flush();
  const Terminal& terminal() const { return terminal_; }

 private:
  std::string name_;
  UniqueFd file_;
  int descriptor_;
  Terminal terminal_;
  std::string buffer_;
  double last_flush_ = 0;
};

}  // namespace unroll
