// The output of an internal program (libexec/unroll/) that reads a file.
#pragma once

#include <string>
#include <vector>

#include "client/sources/pump.h"

namespace unroll {

class ProgramPump : public Pump {
 public:
  /// `input` becomes the program's standard input. `name` is used in errors.
  ProgramPump(std::string name, UniqueFd input, std::string program, std::vector<std::string> arguments)
      : name_(std::move(name)),
        input_(std::move(input)),
        program_(std::move(program)),
        arguments_(std::move(arguments)) {}
  std::uint64_t begin(std::uint64_t) override { return 0; }
  void run(int pipe, int stop) override;

 private:
  std::string name_;
  UniqueFd input_;
  std::string program_;
  std::vector<std::string> arguments_;
};

}  // namespace unroll
