// Commands that are planned and not there yet: they take their place in the help and say so.
#include <array>

#include "client/command_error.h"
#include "client/command_line.h"

namespace unroll {
namespace {

struct Later {
  const char* name;
  const char* description;
  const char* instead;
};

constexpr std::array kLater = {
    Later{"top", "Watch the daemon at work", "until then: unroll status, unroll documents"},
};

}  // namespace

void add_later_commands(CommandLine& line) {
  for (const Later& later : kLater) {
    CLI::App* command =
        line.app().add_subcommand(later.name, std::string(later.description) + " (not available yet)");
    command->allow_extras();
    line.on(command, [later]() -> int {
      throw CommandError("not available yet: " + std::string(later.name) + "; " + later.instead, kExitUsage);
    });
  }
}

}  // namespace unroll
