// An internal program (libexec/unroll/) in a process of its own.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.h"

namespace unroll {

/// Not thread-safe. The program is killed if wait() is not called.
class RunningProgram {
 public:
  /// `input` and `output` become its standard input and output; -1: as this process's. Throws CommandError if
  /// it cannot be run.
  RunningProgram(const std::string& name, const std::vector<std::string>& arguments, int input, int output);
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;
  ~RunningProgram();

  /// To poll: readable when it has ended.
  int descriptor() const { return ended_.get(); }
  /// Waits for its end. Throws CommandError with what it said on standard error, if it failed.
  void wait();

 private:
  std::string name_;
  UniqueFd said_, ended_;
  pid_t process_ = -1;
};

}  // namespace unroll
