#include "client/cli/command_tree.h"

#include <sstream>

#include <CLI/CLI.hpp>

namespace unroll {
namespace {

std::vector<std::string> choices_of(const std::string& value) {
  std::vector<std::string> choices;
  if (value.find('|') == std::string::npos) return choices;
  std::istringstream stream(value);
  for (std::string choice; std::getline(stream, choice, '|');) choices.push_back(choice);
  return choices;
}

OptionEntry entry_of(const CLI::Option& option) {
  OptionEntry entry;
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  entry.description = option.get_description();
  const bool flag = option.get_items_expected_max() == 0;
  const std::string value = flag ? "" : option.get_type_name();
  if (entry.names.empty()) {
    entry.names.push_back(option.get_name(true));
  } else {
    entry.value = value;
  }
  entry.choices = choices_of(value);
  entry.default_value = option.get_default_str();
  entry.required = option.get_required();
  entry.repeated = option.get_items_expected_max() > 1 ||
                   option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return entry;
}

CommandEntry tree_below(const CLI::App& app, std::vector<std::string> path) {
  path.push_back(app.get_name());
  CommandEntry entry{path, app.get_description(), app.get_footer(), {}, {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    (option->nonpositional() ? entry.options : entry.positionals).push_back(entry_of(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    entry.commands.push_back(tree_below(*command, path));
  }
  return entry;
}

}  // namespace

CommandEntry command_tree(const CLI::App& app) {
  return tree_below(app, {});
}

const CommandEntry* find_command(const CommandEntry& root, const std::vector<std::string>& words) {
  const CommandEntry* command = &root;
  for (const std::string& word : words) {
    const CommandEntry* found = nullptr;
    for (const CommandEntry& below : command->commands) {
      if (below.path.back() == word) found = &below;
    }
    if (found == nullptr) return nullptr;
    command = found;
  }
  return command;
}

std::string join(const std::vector<std::string>& words, const std::string& separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

}  // namespace unroll
