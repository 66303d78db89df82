#include "client/cli/private_program.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <unistd.h>

#include "base/program_prefix.h"
#include "client/cli/command_error.h"

namespace unroll {

void become_program(const std::string& name, std::vector<std::string> arguments) {
  const auto program = program_prefix() / "libexec/unroll" / name;
  std::vector<char*> words;
  for (auto& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  throw CommandError("cannot run " + program.string() + " (" + std::strerror(errno) + "); reinstall unroll");
}

std::vector<std::string> own_arguments() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(in, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace unroll
