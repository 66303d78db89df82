#include "client/cli/program_input.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "client/cli/command_error.h"

namespace unroll {

ProgramInput::ProgramInput(const std::string& name, const std::vector<std::string>& arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw CommandError(system_message("cannot run " + name, errno) + "; try again");
  const UniqueFd output(ends[0]);
  input_ = UniqueFd(ends[1]);
  program_.emplace(name, arguments, output.get(), -1);
}

void ProgramInput::finish() {
  input_ = UniqueFd();
  program_->wait();
}

}  // namespace unroll
