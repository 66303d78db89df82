// The programs that unroll comes with and nobody starts by hand, in libexec/unroll/.
#pragma once

#include <string>
#include <vector>

namespace unroll {

/// Puts the program in this process's place. `arguments`: all of them, the name that it goes by first. Throws
/// CommandError where it cannot be run.
[[noreturn]] void become_program(const std::string& name, std::vector<std::string> arguments);

/// What this process was started with.
std::vector<std::string> own_arguments();

}  // namespace unroll
