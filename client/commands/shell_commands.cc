// completion, man: generated from the command tree.
#include <filesystem>
#include <iostream>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/command_tree.h"
#include "client/cli/result_writer.h"

namespace unroll {
namespace {

struct ManOptions {
  std::vector<std::string> command;
  std::filesystem::path all;
};

void print(const std::string& text, const std::filesystem::path& file = {}) {
  ResultWriter writer(file);
  writer.write(text);
  writer.flush();
}

void write_pages(const CommandEntry& command, const std::filesystem::path& folder) {
  print(man_page(command), folder / (join(command.path, "-") + ".1"));
  for (const CommandEntry& below : command.commands) write_pages(below, folder);
}

int man(const CommandEntry& root, const ManOptions& options) {
  if (!options.all.empty()) {
    std::filesystem::create_directories(options.all);
    write_pages(root, options.all);
    return 0;
  }
  const CommandEntry* command = find_command(root, options.command);
  if (command == nullptr) {
    throw CommandError("there is no command '" + join(options.command, " ") + "'; 'unroll --help' lists them",
                       kExitUsage);
  }
  print(man_page(*command));
  return 0;
}

}  // namespace

void add_shell_commands(CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = line.app().add_subcommand("completion", "Print a shell completion script");
  command->add_option("SHELL", *shell, "The shell")
      ->required()
      ->type_name("bash|zsh|fish")
      ->check(one_of({"bash", "zsh", "fish"}));
  command->footer(
      "Examples:\n  unroll completion bash > ~/.local/share/bash-completion/completions/unroll\n"
      "  unroll completion fish > ~/.config/fish/completions/unroll.fish");
  line.on(command, [&line, shell] {
    print(completion_script(command_tree(line.app()), *shell));
    return 0;
  });

  auto options = std::make_shared<ManOptions>();
  command = line.app().add_subcommand("man", "Print the man page of unroll or of one of its commands");
  command->add_option("COMMAND", options->command, "The command")->type_name("");
  command->add_option("--all", options->all, "Write all man pages into this folder instead")
      ->type_name("DIR");
  command->footer("Example:\n  unroll man score | man -l -");
  line.on(command, [&line, options] { return man(command_tree(line.app()), *options); });
}

}  // namespace unroll
