// Completion scripts for bash, zsh and fish.
#include <functional>

#include "client/cli/command_error.h"
#include "client/cli/command_tree.h"

namespace unroll {
namespace {

void walk(const CommandEntry& command, const std::function<void(const CommandEntry&)>& visit) {
  visit(command);
  for (const CommandEntry& below : command.commands) walk(below, visit);
}

std::vector<std::string> names_of(const std::vector<CommandEntry>& commands) {
  std::vector<std::string> names;
  for (const CommandEntry& command : commands) names.push_back(command.path.back());
  return names;
}

/// "plugin check"; empty for the root.
std::string words_of(const CommandEntry& command) {
  return join({command.path.begin() + 1, command.path.end()}, " ");
}

/// Quotes for a shell in single quotes.
std::string quote(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

bool names_files(const OptionEntry& entry) {
  const std::string& kind = entry.value.empty() ? entry.names.front() : entry.value;
  return kind == "FILE" || kind == "PATH" || kind == "DIR" || kind == "MODEL";
}

bool names_folders(const OptionEntry& entry) {
  return (entry.value.empty() ? entry.names.front() : entry.value) == "DIR";
}

// --- bash

/// Sets `candidates` for the word after an option that takes a value.
std::string bash_values(const CommandEntry& command) {
  std::string text;
  for (const OptionEntry& option : command.options) {
    if (option.value.empty()) continue;
    std::vector<std::string> patterns;
    for (const std::string& name : option.names) patterns.push_back(quote(words_of(command) + ":" + name));
    std::string action = "return";  // A number or name that cannot be completed.
    if (!option.choices.empty()) {
      action = "COMPREPLY=($(compgen -W " + quote(join(option.choices, " ")) + " -- \"$word\")); return";
    } else if (names_files(option)) {
      action = names_folders(option) ? "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$word\")); return"
                                     : "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); return";
    }
    text += "    " + join(patterns, "|") + ") " + action + " ;;\n";
  }
  return text;
}

std::string bash_words(const CommandEntry& command) {
  std::vector<std::string> options;
  for (const OptionEntry& option : command.options)
    options.insert(options.end(), option.names.begin(), option.names.end());
  std::vector<std::string> words = names_of(command.commands);
  bool files = false;
  for (const OptionEntry& positional : command.positionals) {
    words.insert(words.end(), positional.choices.begin(), positional.choices.end());
    files = files || names_files(positional);
  }
  return "    " + quote(words_of(command)) + ") options=" + quote(join(options, " ")) +
         " words=" + quote(join(words, " ")) + " files=" + (files ? "yes" : "no") + " ;;\n";
}

std::string bash_script(const CommandEntry& root) {
  std::vector<std::string> paths;
  std::string values, words;
  walk(root, [&](const CommandEntry& command) {
    if (command.path.size() > 1) paths.push_back(quote(words_of(command)));
    values += bash_values(command);
    words += bash_words(command);
  });
  return "# bash completion of unroll, made by 'unroll completion bash'.\n"
         "_unroll() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local command='' next options words files i\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    next=\"${command:+$command }${COMP_WORDS[i]}\"\n"
         "    case \"$next\" in\n    " +
         join(paths, "|") +
         ") command=$next ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$command:$previous\" in\n" +
         values +
         "  esac\n"
         "  case \"$command\" in\n" +
         words +
         "  esac\n"
         "  if [[ $word == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
         "    return\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "  if [[ $files == yes ]]; then\n"
         "    compopt -o filenames\n"
         "    COMPREPLY+=($(compgen -f -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _unroll unroll\n";
}

// --- zsh

std::string zsh_function(const CommandEntry& command) {
  return "_" + join(command.path, "_");
}

/// Brackets and colons end parts of a specification.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_value(const OptionEntry& entry) {
  if (!entry.choices.empty()) return "(" + join(entry.choices, " ") + ")";
  if (names_folders(entry)) return "_files -/";
  return names_files(entry) ? "_files" : " ";
}

std::string zsh_commands(const CommandEntry& command) {
  std::string text = "  local state\n  local -a line commands\n  commands=(\n";
  for (const CommandEntry& below : command.commands) {
    text += "    " + quote(zsh_text(below.path.back()) + ":" + below.description) + "\n";
  }
  text +=
      "  )\n  _arguments -C '(- *)--help[print the help]' '1: :->command' '*:: :->rest'\n  case $state in\n"
      "    command) _describe command commands ;;\n    rest) case $line[1] in\n";
  for (const CommandEntry& below : command.commands) {
    text += "      " + below.path.back() + ") " + zsh_function(below) + " ;;\n";
  }
  return text + "    esac ;;\n  esac\n";
}

std::string zsh_arguments(const CommandEntry& command) {
  std::string text = "  _arguments";
  for (const OptionEntry& option : command.options) {
    for (const std::string& name : option.names) {
      const std::string value =
          option.value.empty() ? "" : ":" + zsh_text(option.value) + ":" + zsh_value(option);
      text += " \\\n    " +
              quote((option.repeated ? "*" : "") + name + "[" + zsh_text(option.description) + "]" + value);
    }
  }
  for (const OptionEntry& positional : command.positionals) {
    text += " \\\n    " + quote((positional.repeated ? "*:" : ":") + positional.names.front() + ":" +
                                zsh_value(positional));
  }
  return text + "\n";
}

std::string zsh_script(const CommandEntry& root) {
  std::string text = "#compdef unroll\n# zsh completion of unroll, made by 'unroll completion zsh'.\n";
  walk(root, [&](const CommandEntry& command) {
    text += zsh_function(command) + "() {\n" +
            (command.commands.empty() ? zsh_arguments(command) : zsh_commands(command)) + "}\n";
  });
  return text + "_unroll \"$@\"\n";
}

// --- fish

/// True if the words so far are exactly those of the command.
std::string fish_condition(const CommandEntry& command) {
  std::string condition;
  for (std::size_t i = 1; i < command.path.size(); ++i) {
    condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + command.path[i]);
  }
  if (!command.commands.empty()) {
    condition += (condition.empty() ? "" : "; and ") +
                 ("not __fish_seen_subcommand_from " + join(names_of(command.commands), " "));
  }
  return quote(condition);
}

std::string fish_option(const OptionEntry& option) {
  std::string text;
  for (const std::string& name : option.names) {
    text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!option.value.empty()) text += names_files(option) ? " -r -F" : " -x";
  if (!option.choices.empty()) text += " -a " + quote(join(option.choices, " "));
  return text + " -d " + quote(option.description);
}

std::string fish_script(const CommandEntry& root) {
  std::string text =
      "# fish completion of unroll, made by 'unroll completion fish'.\ncomplete -c unroll -f\n";
  walk(root, [&](const CommandEntry& command) {
    const std::string head = "complete -c unroll -n " + fish_condition(command);
    for (const CommandEntry& below : command.commands) {
      text += head + " -a " + below.path.back() + " -d " + quote(below.description) + "\n";
    }
    for (const OptionEntry& option : command.options) text += head + fish_option(option) + "\n";
    for (const OptionEntry& positional : command.positionals) {
      if (!positional.choices.empty()) text += head + " -a " + quote(join(positional.choices, " ")) + "\n";
      if (names_files(positional)) text += head + " -F\n";
    }
  });
  return text;
}

}  // namespace

std::string completion_script(const CommandEntry& root, const std::string& shell) {
  if (shell == "bash") return bash_script(root);
  if (shell == "zsh") return zsh_script(root);
  if (shell == "fish") return fish_script(root);
  throw CommandError("there are completions for bash, zsh and fish, not for '" + shell + "'", kExitUsage);
}

}  // namespace unroll
