#include "client/cli/command_line.h"

#include <exception>
#include <iostream>
#include <span>
#include <sstream>
#include <utility>
#include <vector>

#include "base/choices.h"
#include "client/cli/command_error.h"
#include "client/cli/command_tree.h"
#include "client/cli/text.h"

namespace unroll {
namespace {

constexpr const char* kDescription =
    "Reads documents of any length (books, logs) in constant memory and reports how surprising each part is.";
constexpr const char* kVersionFlag = "--version";
constexpr const char* kFooter =
    "Exit codes: 0 success, 1 failure, 2 invalid command line. 'unroll COMMAND --help' lists the options of "
    "a "
    "command.\n"
    "Commands use the daemon ('unrolld') if it runs; otherwise unroll loads the model in its own process.";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

}  // namespace

CommandLine::CommandLine(EmbeddedReaderFactory embedded_reader)
    : app_(kDescription, "unroll"), embedded_reader_(std::move(embedded_reader)) {
  app_.footer(kFooter);
  app_.require_subcommand(1);
  app_.set_version_flag(kVersionFlag, "unroll " UNROLL_VERSION, "Print the version and exit");
  app_.set_help_flag("-h,--help", "Print this help and exit");
  app_.get_formatter()->column_width(34);
}

void CommandLine::on(CLI::App* command, std::function<int()> action) {
  command->callback([this, action = std::move(action)] { action_ = action; });
}

int CommandLine::run(int argc, const char* const* argv) {
  if (otherwise_ && !begins_with_ours(argc, argv)) {
    action_ = otherwise_;
    return run_action();
  }
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return finish(app_.exit(error));  // --help, --version
    std::cerr << "unroll: " << one_line(usage_problem(argc, argv, error)) << '\n';
    return kExitUsage;
  }
  return run_action();
}

bool CommandLine::begins_with_ours(int argc, const char* const* argv) const {
  const std::string first = argc > 1 ? argv[1] : "";
  return first == kVersionFlag ||
         !app_.get_subcommands([&](const CLI::App* command) { return command->get_name() == first; }).empty();
}

int CommandLine::finish(int exit_code) {
  if (std::cout.flush() || exit_code != 0) return exit_code;
  std::cerr << "unroll: cannot write to standard output; free space or write elsewhere\n";
  return kExitFailed;
}

std::string CommandLine::usage_problem(int argc, const char* const* argv,
                                       const CLI::ParseError& error) const {
  // The command as far as it was recognised, and the word after it.
  const CLI::App* command = &app_;
  std::string path = "unroll";
  int words = 1;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += ' ' + command->get_name();
    while (words < argc && argv[words] != command->get_name()) ++words;
    ++words;
  }
  const std::string next = words < argc ? argv[words] : "";
  const bool has_commands = !command->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (has_commands && !next.empty()) {
    const std::string kind = next.front() == '-' ? "option" : "command";
    return "there is no " + kind + " '" + path + ' ' + next + "'; '" + path + " --help' lists them";
  }
  return std::string(error.what()) + "; '" + path + " --help' shows the usage";
}

int CommandLine::run_action() {
  try {
    return finish(action_());
  } catch (const CommandError& error) {
    std::cerr << "unroll: " << one_line(error.what()) << '\n';
    return error.exit_code;
  } catch (const std::exception& error) {
    std::cerr << "unroll: " << one_line(error.what()) << '\n';
    return kExitFailed;
  }
}

CLI::Option* add_repeated_option(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                                 const std::string& description, const std::string& type_name) {
  return command.add_option(name, values, description)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name(type_name);
}

void add_after(CLI::App& command, std::string& after) {
  command
      .add_option("--after", after,
                  "Go on from a snapshot, by its name or file, or from a document, which is read once and "
                  "cached")
      ->type_name("FILE");
}

void add_alert_rate(CLI::App& command, std::optional<double>& rate) {
  command.add_option("--alert-rate", rate, "Mark about this many lines per 1,000 as alerts, 0.01 to 500")
      ->type_name("N")
      ->check(CLI::Range(0.01, 500.0).description(""));
}

CLI::Validator one_of(const std::vector<std::string>& values) {
  return CLI::IsMember(values).description("");
}

/// "auto|cpu", as the help shows them.
std::string with_bars(std::span<const std::string_view> choices) {
  return join({choices.begin(), choices.end()}, "|");
}

void add_model_flags(CLI::App& command, SharedOptions& options) {
  command
      .add_option("--model", options.model,
                  "Model to read with: an installed one's name, a folder, a GGUF file")
      ->type_name("MODEL");
  add_settings_flag(command, options);
  command.add_option("--device", options.device, "Device to compute on")
      ->type_name(with_bars(kDevices))
      ->check(one_of({kDevices.begin(), kDevices.end()}));
  command.add_option("--dtype", options.dtype, "Type of numbers to compute with")
      ->type_name(with_bars(kDtypes))
      ->check(one_of({kDtypes.begin(), kDtypes.end()}));
}

void add_reader_flags(CommandLine& line, CLI::App& command, SharedOptions& options) {
  options.embedded_reader = line.embedded_reader();
  add_model_flags(command, options);
  add_socket_flag(command, options);
  command.add_flag("--embedded", options.embedded, "Read in this process, even if a daemon is running")
      ->excludes(command.get_option("--socket"));
  command.add_flag("--verbose", options.verbose,
                   "Print on standard error whether the daemon reads, and with which model");
}

void add_settings_flag(CLI::App& command, SharedOptions& options) {
  add_repeated_option(
      command, "--set", options.settings,
      "Set how the model reads: block_width, memory_blocks, attention_sinks, document_cache_tokens",
      "KEY=VALUE");
}

void add_socket_flag(CLI::App& command, SharedOptions& options) {
  command.add_option("--socket", options.socket, "The daemon's socket")->type_name("PATH");
}

void add_format_flags(CLI::App& command, SharedOptions& options, const std::string& formats) {
  const std::vector<std::string> names = split(formats, '|');
  options.format = names.front();
  command.add_option("--format", options.format, "Output format")
      ->type_name(formats)
      ->check(one_of(names))
      ->capture_default_str();
  command.add_option("--out", options.out, "Write the results to this file instead of standard output")
      ->type_name("FILE");
}

}  // namespace unroll
