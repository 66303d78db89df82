// follow: like tail -F, into endless documents that outlive the command.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/stop_signals.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/note.h"
#include "client/commands/learn_command.h"
#include "client/follow/follow_all.h"
#include "client/follow/marks.h"
#include "client/logs/log_records.h"
#include "client/reading/read_document.h"

namespace unroll {
namespace {

/// As they are given; options() makes FollowOptions of them.
struct FollowFlags {
  FollowOptions options;
  std::vector<std::string> plugins, webhooks, commands;
  std::string webhook_format, ignore_file, time_format;
  bool from_start = false;  // the default
  bool no_numbers = false, no_rates = false;

  bool marks() const { return !options.files.empty() && options.files.front() == "mark"; }
};

std::vector<PluginRequest> plugins_of(const FollowFlags& flags) {
  std::vector<PluginRequest> plugins = parse_plugin_requests(flags.plugins);
  if (plugins.empty()) {
    plugins.push_back({"anomaly", {{"top", 0}}});
    if (flags.options.alert_rate) plugins[0].options["alert_rate"] = *flags.options.alert_rate;
    if (flags.no_numbers) plugins[0].options["numbers"] = false;
    if (flags.no_rates) plugins[0].options["rates"] = false;
    if (!flags.time_format.empty()) plugins[0].options["time_format"] = flags.time_format;
  }
  const bool odd_lines = plugins.size() == 1 && plugins[0].name == "anomaly";
  const bool wants_events = !flags.webhooks.empty() || !flags.commands.empty() ||
                            !flags.ignore_file.empty() || !flags.options.metrics_file.empty();
  if (!odd_lines && wants_events) {
    throw CommandError(
        "--webhook, --exec, --ignore-file and --metrics-file are for unusual lines; leave --plugin out",
        kExitUsage);
  }
  if (!odd_lines && flags.options.shared.format == "text") {
    throw CommandError("--format text works only with the plugin anomaly; add --format ndjson", kExitUsage);
  }
  return plugins;
}

void check(const FollowFlags& flags) {
  const FollowOptions& options = flags.options;
  if (options.files.empty() && !options.reads_journal()) {
    throw CommandError("name what to follow: FILE, --journal UNIT, or --journal-all", kExitUsage);
  }
  for (const std::string& file : options.files) {
    if (file == "-")
      throw CommandError(
          "standard input cannot be followed across restarts; give a FILE, or use 'unroll run'", kExitUsage);
  }
  for (const std::string& url : flags.webhooks) {
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      throw CommandError("--webhook takes an address that begins with http:// or https://", kExitUsage);
  }
}

/// Files that are followed later are not looked at.
void tell_about_times(const FollowFlags& flags) {
  if (flags.no_rates) return;
  for (const std::string& file : flags.options.files) {
    const std::string told =
        about_times(file, flags.options.encoding, records::TimeFormat(flags.time_format));
    if (!told.empty()) note(told);
  }
}

FollowOptions options_of(const FollowFlags& flags) {
  FollowOptions options = flags.options;
  options.plugins = plugins_of(flags);
  if (options.state.empty()) options.state = default_follow_folder();
  if (!flags.ignore_file.empty()) options.ignore = std::make_shared<const IgnoreRules>(flags.ignore_file);
  for (const std::string& url : flags.webhooks) options.targets.push_back({url, flags.webhook_format, ""});
  for (const std::string& command : flags.commands) options.targets.push_back({"", "", command});
  return options;
}

/// unroll follow mark EVENT normal|unusual
int mark(const FollowOptions& options) {
  const auto& words = options.files;
  if (words.size() != 3 || (words[2] != "normal" && words[2] != "unusual")) {
    throw CommandError(
        "to mark an event: unroll follow mark EVENT normal|unusual; to follow a file of this name: ./mark",
        kExitUsage);
  }
  const auto folder = options.state.empty() ? default_follow_folder() : options.state;
  const auto event = EventLog::find(folder, words[1]);
  if (!event)
    throw CommandError("there is no event '" + words[1] + "' in " + folder.string() +
                       "; name its id, or SOURCE:LINE, and the --state of the command that showed it");
  const bool normal = words[2] == "normal";
  Marks::add(folder, *event, normal);
  note("line " + std::to_string(event->value("line", std::uint64_t{0})) + " of " +
       event->value("source", "") +
       (normal ? " is marked as normal; lines like it are no longer shown"
               : " is no longer marked as normal"));
  return 0;
}

void add_what(CLI::App& command, FollowFlags& flags) {
  FollowOptions& options = flags.options;
  command.add_option("FILE", options.files, "Growing files, which need not exist yet, and patterns of files")
      ->type_name("");
  add_repeated_option(command, "--journal", options.units,
                      "Follow a unit's entries in systemd's journal; can be repeated", "UNIT");
  command.add_flag("--journal-all", options.whole_journal, "Follow the whole journal");
  command
      .add_option("--journal-directory", options.journal_directory,
                  "Read the journal in this folder instead of this machine's")
      ->type_name("DIR");
  add_encoding(command, options.encoding);
  command.add_flag("--from-start", flags.from_start,
                   "On the first run, read what is there already (the default)");
  command.add_flag("--from-end", options.from_end, "On the first run, read only new lines")
      ->excludes("--from-start");
}

void add_deliveries(CLI::App& command, FollowFlags& flags) {
  add_repeated_option(command, "--webhook", flags.webhooks,
                      "POST each unusual line (--threshold, --alert-rate) to this address; can be repeated",
                      "URL");
  command.add_option("--webhook-format", flags.webhook_format, "json, or alertmanager for its API v2")
      ->type_name("json|alertmanager")
      ->check(one_of({"json", "alertmanager"}))
      ->default_val("json");
  add_repeated_option(command, "--exec", flags.commands,
                      "Run this command with /bin/sh for each unusual line; can be repeated", "COMMAND");
  command
      .add_option("--metrics-file", flags.options.metrics_file,
                  "Write counters of lines and unusual lines to this file, for Prometheus")
      ->type_name("FILE");
}

void add_how(CLI::App& command, FollowFlags& flags) {
  FollowOptions& options = flags.options;
  add_repeated_option(command, "--plugin", flags.plugins,
                      "Plugin, optionally with options (default: anomaly); can be repeated", "NAME[:JSON]");
  command.add_option("--threshold", options.threshold, "Lowest score of a line that is shown (text)")
      ->type_name("SCORE")
      ->capture_default_str();
  add_after(command, options.after);
  add_alert_rate(command, options.alert_rate);
  command.get_option("--alert-rate")
      ->description("Show alerts instead: about this many lines per 1,000, 0.01 to 500")
      ->excludes("--threshold")
      ->excludes("--plugin");
  command
      .add_flag("--no-numbers", flags.no_numbers,
                "Do not count numbers that are far out of their field's range")
      ->excludes("--plugin");
  command
      .add_flag("--no-rates", flags.no_rates,
                "Do not report lines that stop coming, come far more often, or a silent log")
      ->excludes("--plugin");
  add_time_format(command, flags.time_format);
  command.get_option("--time-format")->excludes("--plugin");
  command
      .add_option("--ignore-file", flags.ignore_file,
                  "A regular expression per line; what one matches is not shown and takes no alert")
      ->type_name("FILE");
  command
      .add_option("--quiet-ms", options.quiet_ms,
                  "Read an incomplete block after this many milliseconds without new bytes")
      ->type_name("N")
      ->check(CLI::Range(1, 3'600'000).description(""))
      ->capture_default_str();
  command
      .add_option("--state", options.state,
                  "Folder that records how far the log was read (default: ~/.local/state/unroll/follow)")
      ->type_name("DIR");
}

}  // namespace

void add_follow_command(CommandLine& line) {
  auto flags = std::make_shared<FollowFlags>();
  CLI::App* command =
      line.app().add_subcommand("follow", "Follow growing logs, across rotation and restarts");
  add_what(*command, *flags);
  add_how(*command, *flags);
  add_deliveries(*command, *flags);
  SharedOptions& shared = flags->options.shared;
  command->add_option("--format", shared.format, "Output format")
      ->type_name("text|ndjson")
      ->check(one_of({"text", "ndjson"}))
      ->default_val("text");
  add_reader_flags(line, *command, shared);
  command->footer(
      "Prints unusual lines as they are written: line, score, text; of several logs also the log's name. "
      "With "
      "--format ndjson: one object per output, as 'unroll run' prints it. SIGINT or SIGTERM ends it; the "
      "next "
      "run continues there.\n\n"
      "Each file and unit is a document of its own. A pattern (in quotes) also follows files that appear "
      "later.\n\n"
      "'unroll follow mark EVENT normal' silences what is like an event in the log where it was; EVENT is "
      "the "
      "event's id, or SOURCE:LINE. 'unroll follow mark EVENT unusual' takes that back.\n\n"
      "Each output is printed once. After a crash, outputs of the last second may be printed twice, unless "
      "standard output is a regular file.\n\n"
      "Examples:\n  unroll follow /var/log/syslog\n  unroll follow '/var/log/app/*.log' --journal ssh\n"
      "  unroll follow app.log --after yesterday.log\n  unroll follow --journal ssh --alert-rate 1\n"
      "  unroll follow app.log --webhook https://alerts.example/unroll\n"
      "  unroll follow mark app.log:171 normal\n"
      "  unroll follow app.log --plugin score --format ndjson >> scores.ndjson");
  line.on(command, [flags] {
    if (flags->marks()) return mark(flags->options);
    check(*flags);
    tell_about_times(*flags);
    const FollowOptions options = options_of(*flags);
    stop_at_signals();
    FollowAll(options).run();
    return 0;
  });
}

}  // namespace unroll
