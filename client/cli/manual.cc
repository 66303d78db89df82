// Man pages, in roff with the man macros.
#include <algorithm>
#include <sstream>

#include "client/cli/command_tree.h"

namespace unroll {
namespace {

/// Escapes text for roff.
std::string roff(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  if (!result.empty() && (result.front() == '.' || result.front() == '\'')) result.insert(0, "\\&");
  return result;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

/// Indented lines of the footer are examples and stay unchanged; other lines are filled.
std::string paragraphs(const std::string& text) {
  std::string result;
  std::istringstream stream(text);
  bool example = false;
  for (std::string line; std::getline(stream, line);) {
    const bool indented = line.starts_with("  ");
    if (indented != example) result += indented ? ".PP\n.nf\n" : ".fi\n.PP\n";
    example = indented;
    result += line.empty() ? ".PP\n" : roff(line) + "\n";
  }
  return result + (example ? ".fi\n" : "");
}

std::string synopsis(const CommandEntry& command) {
  std::string text = ".B " + roff(join(command.path, " ")) + "\n";
  if (!command.commands.empty()) return text + ".I COMMAND\n[\\fIOPTIONS\\fR]\n";
  for (const OptionEntry& option : command.options) {
    if (option.required)
      text += "\\fB" + roff(option.names.front()) + "\\fR \\fI" + roff(option.value) + "\\fR\n";
  }
  text += "[\\fIOPTIONS\\fR]\n";
  for (const OptionEntry& positional : command.positionals) {
    const std::string name =
        "\\fI" + roff(positional.names.front()) + "\\fR" + (positional.repeated ? "..." : "");
    text += (positional.required ? name : "[" + name + "]") + "\n";
  }
  return text;
}

std::string option_paragraph(const OptionEntry& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back("\\fB" + roff(name) + "\\fR");
  std::string text = ".TP\n" + join(names, ", ");
  if (!option.value.empty()) text += " \\fI" + roff(option.value) + "\\fR";
  text += "\n" + roff(option.description) + ".\n";
  if (!option.default_value.empty()) text += "Default: " + roff(option.default_value) + ".\n";
  return text;
}

std::string options_section(const CommandEntry& command) {
  std::string text = ".SH OPTIONS\n";
  for (const OptionEntry& positional : command.positionals) text += option_paragraph(positional);
  for (const OptionEntry& option : command.options) text += option_paragraph(option);
  return text;
}

std::string commands_section(const CommandEntry& command) {
  std::string text = ".SH COMMANDS\n";
  for (const CommandEntry& below : command.commands) {
    text += ".TP\n\\fB" + roff(join(below.path, " ")) + "\\fR\n" + roff(below.description) + ".\n";
  }
  return text;
}

constexpr const char* kExitStatus =
    ".SH EXIT STATUS\n.TP\n0\nSuccess.\n.TP\n1\nFailure; one line on standard error says why and what to "
    "do.\n"
    ".TP\n2\nInvalid command line.\n";

constexpr const char* kEnvironment =
    ".SH ENVIRONMENT\n.TP\nUNROLL_MODEL\nModel to read with (an installed one's name, a folder or a GGUF "
    "file) if \\fB\\-\\-model\\fR is "
    "not given.\n"
    ".TP\nUNROLL_PLUGIN_PATH\nFolder of the plugins.\n"
    ".TP\nXDG_RUNTIME_DIR\nThe daemon's socket is unroll/unroll.sock in it. The system's daemon uses "
    "/run/unroll/unroll.sock.\n"
    ".TP\nNO_COLOR\nIf set, no colours are used.\n";

}  // namespace

std::string man_page(const CommandEntry& command) {
  const std::string name = join(command.path, "-");
  std::string text = ".TH " + upper(roff(name)) + " 1 \"\" \"unroll " UNROLL_VERSION "\" \"User Commands\"\n";
  text += ".SH NAME\n" + roff(name) + " \\- " + roff(command.description) + "\n";
  text += ".SH SYNOPSIS\n" + synopsis(command);
  if (!command.footer.empty()) text += ".SH DESCRIPTION\n" + paragraphs(command.footer);
  if (!command.commands.empty()) text += commands_section(command);
  text += options_section(command) + kExitStatus + kEnvironment;
  if (command.path.size() > 1) text += ".SH SEE ALSO\n.BR unroll (1),\n.BR unrolld (8)\n";
  return text;
}

}  // namespace unroll
