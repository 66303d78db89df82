// An internal program (libexec/unroll/) that takes what this one writes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.h"

namespace unroll {

/// Not thread-safe. The program is killed if finish() is not called.
class ProgramInput {
 public:
  /// Throws CommandError if it cannot be run.
  ProgramInput(const std::string& name, const std::vector<std::string>& arguments);
  ProgramInput(const ProgramInput&) = delete;
  ProgramInput& operator=(const ProgramInput&) = delete;
  ~ProgramInput();

  /// To be opened and written.
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(input_.get()); }
  /// Ends its input and waits. Throws CommandError with what it said on standard error, if it failed.
  void finish();

 private:
  std::string name_;
  UniqueFd input_, said_;
  pid_t process_ = -1;
};

}  // namespace unroll
