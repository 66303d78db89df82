// The command tree as plain data, from which completions and man pages are generated.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace unroll {

struct OptionEntry {
  std::vector<std::string> names;  ///< {"--help", "-h"}, long names first; for a positional: {"FILE"}.
  std::string description;
  std::string value;                 ///< "DIR", "text|json"; empty for a flag or a positional.
  std::vector<std::string> choices;  ///< {"text", "json"} if the values are enumerated.
  std::string default_value;
  bool required = false;
  bool repeated = false;
};

struct CommandEntry {
  std::vector<std::string> path;  ///< {"unroll"}, {"unroll", "plugin", "check"}
  std::string description, footer;
  std::vector<OptionEntry> options, positionals;
  std::vector<CommandEntry> commands;
};

CommandEntry command_tree(const CLI::App& app);

/// Finds the command below `root` by its words ({"plugin", "check"}); null if there is none.
const CommandEntry* find_command(const CommandEntry& root, const std::vector<std::string>& words);

std::string join(const std::vector<std::string>& words, const std::string& separator);

/// A completion script. `shell`: bash, zsh or fish.
std::string completion_script(const CommandEntry& root, const std::string& shell);
/// A man page in roff.
std::string man_page(const CommandEntry& command);

}  // namespace unroll
