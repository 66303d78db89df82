// The command tree: parsed by CLI11; --help, completions and man pages are generated from it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "client/cli/options.h"

namespace unroll {

class CommandLine {
 public:
  explicit CommandLine(EmbeddedReaderFactory embedded_reader);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CLI::App& app() { return app_; }
  const EmbeddedReaderFactory& embedded_reader() const { return embedded_reader_; }
  /// Sets the command's action, called after parsing; its result is the exit code.
  void on(CLI::App* command, std::function<int()> action);
  /// Sets the action for a first word that is not in this tree: another program may have the command.
  void otherwise(std::function<int()> action) { otherwise_ = std::move(action); }
  /// Parses and runs. Writes help and errors; never throws.
  int run(int argc, const char* const* argv);

 private:
  std::string usage_problem(int argc, const char* const* argv, const CLI::ParseError& error) const;
  int run_action();
  bool begins_with_ours(int argc, const char* const* argv) const;
  /// Flushes standard output. Returns `exit_code`, or kExitFailed if the output could not be written.
  static int finish(int exit_code);

  CLI::App app_;
  EmbeddedReaderFactory embedded_reader_;
  std::function<int()> action_, otherwise_;
};

/// --model, --set, --device, --dtype, and for what may be read by a daemon --socket, --embedded and
/// --verbose.
void add_model_flags(CLI::App& command, SharedOptions& options);
void add_reader_flags(CommandLine& line, CLI::App& command, SharedOptions& options);
void add_settings_flag(CLI::App& command, SharedOptions& options);  ///< --set; by add_model_flags()
void add_socket_flag(CLI::App& command, SharedOptions& options);
/// --format and --out. `formats`: the values of --format, as "text|json"; the first is the default.
void add_format_flags(CLI::App& command, SharedOptions& options, const std::string& formats);

/// An option that may be given several times, with one value each time.
CLI::Option* add_repeated_option(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                                 const std::string& description, const std::string& type_name);

/// --after: what a document goes on from (client/reading/after.h).
void add_after(CLI::App& command, std::string& after);

/// --alert-rate of the plugin anomaly.
void add_alert_rate(CLI::App& command, std::optional<double>& rate);

/// Checks that the value is one of `values`. Adds nothing to the help: the option's type_name() lists them.
CLI::Validator one_of(const std::vector<std::string>& values);

// Each adds its commands to the tree.
void add_read_commands(CommandLine& line);      ///< score, anomaly, learn, summarize, embed, run
void add_anomaly_command(CommandLine& line);    ///< anomaly; by add_read_commands()
void add_learn_command(CommandLine& line);      ///< learn; by add_read_commands()
void add_embed_command(CommandLine& line);      ///< embed; by add_read_commands()
void add_batch_command(CommandLine& line);      ///< batch
void add_follow_command(CommandLine& line);     ///< follow
void add_daemon_commands(CommandLine& line);    ///< documents, cancel, attach, status, reload, top
void add_top_command(CommandLine& line);        ///< top; by add_daemon_commands()
void add_snapshot_commands(CommandLine& line);  ///< snapshot create|list|delete|export|import, append
void add_plugin_commands(CommandLine& line);    ///< plugin list|check|new
void add_model_commands(CommandLine& line);     ///< model list|fetch|remove|info|convert, logits
void add_installed_model_commands(CommandLine& line,
                                  CLI::App& model);  ///< list|fetch|remove; by add_model_commands()
void add_training_commands(CommandLine& line);       ///< prepare, train, eval, bench
void add_train_commands(CommandLine& line);          ///< prepare, train; by add_training_commands()
void add_adapt_command(CommandLine& line);           ///< adapt
void add_generate_command(CommandLine& line);        ///< generate
void add_text_command(CommandLine& line);            ///< text; by add_read_commands()
void add_tokenize_command(CommandLine& line);        ///< tokenize
void add_shell_commands(CommandLine& line);          ///< completion, man

}  // namespace unroll
