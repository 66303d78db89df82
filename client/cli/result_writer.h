// Where results go: standard output, or the file of --out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "client/cli/terminal.h"

namespace unroll {

/// Buffered; one thread. Throws CommandError where a write fails (a full disk), and names the file.
class ResultWriter {
 public:
  /// An empty path: standard output. A file is made anew.
  explicit ResultWriter(const std::filesystem::path& file);
  void write(std::string_view text);
  /// Ends a line: what a pipe's reader is waiting for goes out at once when results come slowly.
  void end_line();
  /// Must be called at the end; the destructor throws nothing and so reports nothing.
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
