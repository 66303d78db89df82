// plugin list, and for authors of plugins: plugin check|new.
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include <unistd.h>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/private_program.h"
#include "client/cli/terminal.h"
#include "client/cli/text.h"
#include "client/views/view.h"
#include "plugin_templates.h"
#include "plugins/host.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

ordered_json plugin_object(const PluginInfo& plugin) {
  constexpr std::array kWants = {
      std::pair{UNROLL_WANT_ENTROPY, "entropy"},   std::pair{UNROLL_WANT_HIDDEN, "hidden"},
      std::pair{UNROLL_WANT_TEXT, "text"},         std::pair{UNROLL_WANT_TOP_K, "top_k"},
      std::pair{UNROLL_WANT_WORD_END, "word_end"}, std::pair{UNROLL_WANT_RANK, "ranks"}};
  ordered_json wants = ordered_json::array();
  for (const auto& [bit, name] : kWants) {
    if ((plugin.wants & bit) != 0) wants.push_back(name);
  }
  auto options = ordered_json::parse(plugin.options, nullptr, false);  // discarded if it has no schema
  return {{"name", plugin.name},
          {"version", plugin.version},
          {"description", plugin.description},
          {"wants", std::move(wants)},
          {"options", options.is_discarded() ? ordered_json(nullptr) : std::move(options)},
          {"library", plugin.library.string()}};
}

int list_plugins(const SharedOptions& options) {
  PluginOptions workers;
  workers.workers = true;
  PluginRegistry registry(std::move(workers));
  const fs::path folder = default_plugin_directory();
  const std::vector<std::string> problems = registry.load_directory(folder);
  ResultWriter writer(options.out);
  if (options.format == "json") {
    ordered_json list = ordered_json::array();
    for (const PluginInfo& plugin : registry.plugins()) list.push_back(plugin_object(plugin));
    writer.write(to_line({{"folder", folder.string()}, {"plugins", std::move(list)}}) + "\n");
  } else {
    for (const PluginInfo& plugin : registry.plugins()) {
      writer.write(left(plugin.name, 14) + left(one_line(plugin.version), 10) + one_line(plugin.description) +
                   "\n");
    }
  }
  writer.flush();
  for (const std::string& problem : problems) std::cerr << "unroll: " << one_line(problem) << '\n';
  if (registry.plugins().empty()) {
    throw CommandError("no plugins in " + folder.string() + "; set UNROLL_PLUGIN_PATH to their folder");
  }
  return problems.empty() ? 0 : kExitFailed;
}

struct CheckOptions {
  fs::path file;
  std::string format = "text", python = "python3";
  unsigned timeout = 60;
};

/// Replaces this process with the checking program: its report and exit status are the command's.
int check_plugin(const CheckOptions& options) {
  const bool colour = options.format == "text" && terminal_of(STDOUT_FILENO).colour;
  become_program(
      "unroll-plugin-check",
      {"unroll-plugin-check", "--format", colour ? "coloured" : options.format, "--timeout",
       std::to_string(options.timeout), "--python", options.python, fs::absolute(options.file).string()});
}

struct NewOptions {
  std::string name, language = "c++";
};

bool is_plugin_name(const std::string& name) {
  constexpr std::size_t kLongest = 32;
  return !name.empty() && name.size() <= kLongest && name[0] >= 'a' && name[0] <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

/// "word-count" to "WordCount".
std::string class_name(const std::string& name) {
  std::string result;
  bool capital = true;
  for (const char c : name) {
    if (c != '-') result += capital && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    capital = c == '-';
  }
  return result;
}

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

/// Writes the folder NAME. The file "plugin.X" gets the plugin's name.
int write_plugin(const NewOptions& options) {
  if (!is_plugin_name(options.name)) {
    throw CommandError("a plugin's name is a lowercase letter, then up to 31 of a-z, 0-9 and -, not \"" +
                           options.name + "\"",
                       kExitUsage);
  }
  const fs::path folder = options.name;
  std::error_code error;
  if (!fs::create_directory(folder, error)) {
    throw CommandError("cannot make the folder " + folder.string() + " (" +
                       (error ? error.message() : "it already exists") + "); give another name");
  }
  constexpr std::size_t kTagBytes = 8;
  std::string identifier = options.name, tag = options.name + "-1.......";
  replace_all(identifier, "-", "_");
  tag = tag.substr(0, kTagBytes);
  for (const auto& file : kPluginTemplates) {
    if (options.language != file.language) continue;
    std::string name(file.name), text(file.text);
    replace_all(name, "plugin.", identifier + ".");
    replace_all(text, "@NAME@", options.name);
    replace_all(text, "@IDENTIFIER@", identifier);
    replace_all(text, "@CLASS@", class_name(options.name));
    replace_all(text, "@TAG@", tag);
    std::ofstream out(folder / name, std::ios::binary);
    out << text << std::flush;
    if (!out) throw CommandError("cannot write " + (folder / name).string());
  }
  std::cout << folder.string() << "/README.md says how to build and try it\n";
  return 0;
}

void add_list(CommandLine& line, CLI::App& plugin) {
  auto options = std::make_shared<SharedOptions>();
  CLI::App* command = plugin.add_subcommand("list", "List the installed plugins");
  add_format_flags(*command, *options, "text|json");
  line.on(command, [options] { return list_plugins(*options); });
}

void add_check(CommandLine& line, CLI::App& plugin) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command =
      plugin.add_subcommand("check", "Test a plugin against everything that the host requires");
  command->add_option("FILE", options->file, "The shared library, or the plugin in Python")
      ->required()
      ->type_name("");
  command->add_option("--format", options->format, "Format of the report")
      ->type_name("text|json")
      ->check(one_of({"text", "json"}))
      ->capture_default_str();
  command->add_option("--timeout", options->timeout, "Time limit of each check, in seconds")
      ->type_name("SECONDS")
      ->check(CLI::Range(1u, 86'400u).description(""))
      ->capture_default_str();
  command->add_option("--python", options->python, "Python interpreter for a plugin in Python")
      ->type_name("PROGRAM")
      ->capture_default_str();
  line.on(command, [options] { return check_plugin(*options); });
}

void add_new(CommandLine& line, CLI::App& plugin) {
  auto options = std::make_shared<NewOptions>();
  CLI::App* command = plugin.add_subcommand("new", "Create a folder with a small plugin to start from");
  command->add_option("NAME", options->name, "The plugin's name, and the folder's")
      ->required()
      ->type_name("");
  command->add_option("--language", options->language, "Programming language")
      ->type_name("c|c++|python")
      ->check(one_of({"c", "c++", "python"}))
      ->capture_default_str();
  line.on(command, [options] { return write_plugin(*options); });
}

}  // namespace

void add_plugin_commands(CommandLine& line) {
  CLI::App* plugin = line.app().add_subcommand("plugin", "List, test and create plugins");
  plugin->require_subcommand(1);
  add_list(line, *plugin);
  add_check(line, *plugin);
  add_new(line, *plugin);
}

}  // namespace unroll
