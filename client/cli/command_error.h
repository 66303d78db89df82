// The error of a command that fails.
#pragma once

#include <stdexcept>
#include <string>

namespace unroll {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// what() says what happened, to which file, and what to do; main() prints it after "unroll: ".
class CommandError : public std::runtime_error {
 public:
  explicit CommandError(const std::string& text, int exit_code = kExitFailed)
      : std::runtime_error(text), exit_code(exit_code) {}
  int exit_code;
};

/// "cannot read FILE: No such file or directory": `what` and the message of the errno `error`.
std::string system_message(const std::string& what, int error);

}  // namespace unroll
