// Runs unroll's internal programs in libexec/unroll/, which users do not start themselves.
#pragma once

#include <string>
#include <vector>

namespace unroll {

/// Replaces this process with the program (execv). `arguments`: with argv[0]. Throws CommandError if it
/// cannot be run.
[[noreturn]] void become_program(const std::string& name, std::vector<std::string> arguments);

/// This process's own arguments, with argv[0].
std::vector<std::string> own_arguments();

}  // namespace unroll
