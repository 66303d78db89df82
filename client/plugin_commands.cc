// For authors of plugins: plugin check|new.
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include <unistd.h>

#include "client/command_error.h"
#include "client/command_line.h"
#include "client/terminal.h"
#include "plugin_templates.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

struct CheckOptions {
  fs::path file;
  std::string format = "text", python = "python3";
  unsigned timeout = 60;
};

/// The program that checks takes this one's place: its report and exit status are the command's.
int check_plugin(const CheckOptions& options) {
  const fs::path program =
      fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "libexec/unroll/unroll-plugin-check";
  const bool colour = options.format == "text" && terminal_of(STDOUT_FILENO).colour;
  const std::string format = colour ? "coloured" : options.format, timeout = std::to_string(options.timeout);
  const std::string file = fs::absolute(options.file).string();
  const std::array arguments = {program.c_str(),
                                "--format",
                                format.c_str(),
                                "--timeout",
                                timeout.c_str(),
                                "--python",
                                options.python.c_str(),
                                file.c_str(),
                                static_cast<const char*>(nullptr)};
  ::execv(program.c_str(), const_cast<char* const*>(arguments.data()));  // it does not write to them
  throw CommandError("cannot run " + program.string() + " (" + std::strerror(errno) +
                     "); install unroll anew");
}

struct NewOptions {
  std::string name, language = "c++";
};

bool is_plugin_name(const std::string& name) {
  constexpr std::size_t kLongest = 32;
  return !name.empty() && name.size() <= kLongest && name[0] >= 'a' && name[0] <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

/// "word-count" as WordCount.
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
    throw CommandError(
        "a plugin's name is a small letter, then up to 31 of a-z, 0-9 and -, not \"" + options.name + "\"",
        kExitUsage);
  }
  const fs::path folder = options.name;
  std::error_code error;
  if (!fs::create_directory(folder, error)) {
    throw CommandError("cannot make the folder " + folder.string() + " (" +
                       (error ? error.message() : "it is there already") + "); give another name");
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

}  // namespace

void add_plugin_author_commands(CommandLine& line, CLI::App& plugin) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command =
      plugin.add_subcommand("check", "Load a plugin and try everything that the host will ask of it");
  command->add_option("FILE", options->file, "The shared library, or the plugin in Python")
      ->required()
      ->type_name("");
  command->add_option("--format", options->format, "How to report")
      ->type_name("text|json")
      ->check(one_of({"text", "json"}))
      ->capture_default_str();
  command->add_option("--timeout", options->timeout, "A check that takes longer has failed")
      ->type_name("SECONDS")
      ->check(CLI::Range(1u, 86'400u))
      ->capture_default_str();
  command->add_option("--python", options->python, "The Python for a plugin in Python")
      ->type_name("PROGRAM")
      ->capture_default_str();
  line.on(command, [options] { return check_plugin(*options); });

  auto fresh = std::make_shared<NewOptions>();
  command = plugin.add_subcommand("new", "Write a folder with a small plugin in it, to go on from");
  command->add_option("NAME", fresh->name, "The plugin's name, and the folder's")->required()->type_name("");
  command->add_option("--language", fresh->language, "What to write it in")
      ->type_name("c|c++|python")
      ->check(one_of({"c", "c++", "python"}))
      ->capture_default_str();
  line.on(command, [fresh] { return write_plugin(*fresh); });
}

}  // namespace unroll
