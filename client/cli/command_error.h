// How a command ends that cannot do its work.
#pragma once

#include <stdexcept>
#include <string>

namespace unroll {

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// what() says what happened, to which file, and what to do; main() prints it behind "unroll: ".
class CommandError : public std::runtime_error {
 public:
  explicit CommandError(const std::string& text, int exit_code = kExitFailed)
      : std::runtime_error(text), exit_code(exit_code) {}
  int exit_code;
};

/// "cannot read FILE: No such file or directory", from errno's number.
std::string system_message(const std::string& what, int error);

}  // namespace unroll
