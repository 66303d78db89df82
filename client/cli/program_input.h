// An internal program (libexec/unroll/) that takes what this one writes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "client/cli/running_program.h"

namespace unroll {

/// Not thread-safe. The program is killed if finish() is not called.
class ProgramInput {
 public:
  /// Throws CommandError if it cannot be run.
  ProgramInput(const std::string& name, const std::vector<std::string>& arguments);

  /// To be opened and written.
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(input_.get()); }
  /// Ends its input and waits. Throws CommandError with what it said on standard error, if it failed.
  void finish();

 private:
  UniqueFd input_;
  std::optional<RunningProgram> program_;
};

}  // namespace unroll
