// anomaly: the unusual lines of a log, compared with the lines before them or with a baseline.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/note.h"
#include "client/cli/text.h"
#include "client/commands/learn_command.h"
#include "client/logs/budgeted_log.h"
#include "client/logs/ignore_rules.h"
#include "client/logs/log_records.h"
#include "client/logs/ruled_views.h"
#include "client/reading/after.h"
#include "client/reading/read_document.h"
#include "client/sources/log_text.h"
#include "client/views/anomaly_view.h"
#include "plugins/builtin/records/record.h"

namespace unroll {
namespace {

using nlohmann::json;

struct AnomalyOptions {
  SharedOptions shared;
  std::vector<std::string> files;
  std::string after;  // a snapshot's name, or a file; empty: nothing
  int top = 20;
  std::optional<double> alert_rate;
  std::string session;   // the text before a session's name; empty: no sessions
  std::string encoding;  // empty: guessed
  std::string time_format;
  bool no_numbers = false, no_rates = false;
  std::uint64_t budget = 0;  // 0: none
  JudgedOptions judged;      // with a baseline
};

/// A log as text, and what to tell about it after it was read.
class OpenedLog {
 public:
  /// `keeps`: for Source::text(); else only recent() has text, while the log is read.
  OpenedLog(const std::string& file, const std::string& encoding, bool keeps)
      : text_(std::make_shared<LogText>(encoding)),
        recent_(keeps ? nullptr : std::make_shared<RecentText>()),
        source_(log_source(Source::open(file), text_, recent_)),
        kept_(source_) {
    if (keeps) source_.keep_text();
  }
  OpenedLog(const OpenedLog&) = delete;
  OpenedLog& operator=(const OpenedLog&) = delete;
  ~OpenedLog() = default;
  ReadText& read_text() { return recent_ ? static_cast<ReadText&>(*recent_) : kept_; }
  Source& source() { return source_; }
  const Source& source() const { return source_; }
  const TextPlaces& places() const { return text_->places(); }
  void tell() const {
    if (text_->cut_lines() == 0) return;
    note(source_.name() + ": of " + std::to_string(text_->cut_lines()) + " lines only the first " +
         std::to_string(records::kMostRecordBytes / 1024) + " KiB were read; the first of them is line " +
         std::to_string(text_->first_cut()));
  }

 private:
  std::shared_ptr<LogText> text_;
  std::shared_ptr<RecentText> recent_;
  Source source_;
  SourceText kept_;
};

/// What the options ask of the plugin. What is not given is left out: a snapshot must have the same.
json plugin_options(const AnomalyOptions& options, const CLI::App& command) {
  json asked = json::object();
  if (command.count("--top") > 0) asked["top"] = options.top;
  if (options.alert_rate) asked["alert_rate"] = *options.alert_rate;
  if (!options.session.empty()) asked["session"] = options.session;
  if (options.no_numbers) asked["numbers"] = false;
  if (options.no_rates) asked["rates"] = false;
  if (!options.time_format.empty()) asked["time_format"] = options.time_format;
  // A snapshot may have been made without.
  const bool tells_parts = options.shared.format == "json" || options.shared.format == "ndjson";
  if (!options.judged.explained.empty() || (tells_parts && options.after.empty())) asked["parts"] = true;
  return asked;
}

/// Reads logs without a baseline.
class ModelReading {
 public:
  ModelReading(const AnomalyOptions& options, const CLI::App& command)
      : options_(options),
        reader_(make_reader(options.shared)),
        request_(request_for("anomaly", plugin_options(options, command))) {
    request_.after = snapshot_after(*reader_, options.after, request_.plugins, log_opener(options.encoding));
    if (!options.judged.ignore_file.empty()) rules_.emplace(options.judged.ignore_file);
  }

  void view() {
    OpenedLog log(options_.files.front(), options_.encoding, rules_ || options_.budget > 0);
    ResultWriter writer(options_.shared.out);
    AnomalyViewOptions how;
    how.format = options_.shared.format;
    how.file = log.source().name();
    how.top = static_cast<std::size_t>(options_.top);
    how.context = options_.judged.how.context;
    how.times = records::TimeFormat(options_.time_format);
    how.text = &log.read_text();
    read(log, writer, *make_anomaly_view(how, writer, log.places()));
    writer.flush();
  }

  /// Each log is compared with itself alone.
  void report() {
    ResultWriter writer(options_.shared.out);
    LogReport report(writer, report_title(options_.files));
    const auto top = static_cast<std::size_t>(options_.top);
    LogEvents events(top);
    for (std::size_t i = 0; i < options_.files.size(); ++i) {
      OpenedLog log(options_.files[i], options_.encoding, true);
      report.begin_log(log.source().name());
      read(log, writer, *make_report_view(report, log.read_text(), i, events));
    }
    report.finish("The most unusual of " + with_thousands(report.lines()) + " lines", events.best(top));
    writer.flush();
  }

  void explain() {
    OpenedLog log(options_.files.front(), options_.encoding, true);
    ResultWriter writer("");
    ExplainedLine explained(line_number(options_.judged.explained), log.source(), options_.judged.ignore_file,
                            writer);
    read(log, writer, explained);
    if (!explained.is_found())
      throw CommandError(log.source().name() + " has no line " + options_.judged.explained);
    writer.flush();
  }

 private:
  void read(OpenedLog& log, ResultWriter& writer, View& view) {
    std::optional<IgnoredLines> ignored;
    if (rules_) ignored.emplace(view, log.source(), *rules_, options_.alert_rate);
    View& first = ignored ? static_cast<View&>(*ignored) : view;
    const auto output = [&](const std::string&, const json& data) { first.output(data); };
    if (options_.budget > 0)
      read_within_budget(*reader_, log.source(), options_.budget, request_.plugins.front().options, writer,
                         output);
    else
      read_document(*reader_, log.source(), request_, writer, output);
    log.tell();
    const std::string times =
        about_times(log.source().name(), options_.encoding, records::TimeFormat(options_.time_format));
    if (!times.empty() && !options_.no_rates) note(times);
  }

  const AnomalyOptions& options_;
  const std::unique_ptr<Reader> reader_;
  ReadRequest request_;
  std::optional<IgnoreRules> rules_;
};

/// Compares with a baseline.
int judge(AnomalyOptions& options, const CLI::App& command) {
  for (const char* flag : {"--alert-rate", "--session", "--after"}) {
    if (command.count(flag) > 0)
      throw CommandError(std::string(flag) + " does not go with --baseline", kExitUsage);
  }
  JudgedOptions& judged = options.judged;
  judged.targets = options.files;
  judged.encoding = options.encoding;
  judged.time_format = options.time_format;
  judged.out = options.shared.out;
  judged.how.format = options.shared.format;
  judged.how.top = static_cast<std::size_t>(options.top);
  judged.how.numbers = !options.no_numbers;
  judged.how.rates = !options.no_rates;
  return judge_logs(judged);
}

void check(const AnomalyOptions& options) {
  const bool report = options.shared.format == "html" && options.judged.explained.empty();
  if (options.files.empty() || (options.files.size() > 1 && !report))
    throw CommandError("name one log; several go with --format html or a --baseline", kExitUsage);
  if (options.budget > 0 && !options.after.empty())
    throw CommandError("--budget does not go with --after", kExitUsage);
}

int run(AnomalyOptions& options, const CLI::App& command) {
  if (!options.judged.baselines.empty()) return judge(options, command);
  check(options);
  ModelReading reading(options, command);
  if (!options.judged.explained.empty())
    reading.explain();
  else if (options.shared.format == "html")
    reading.report();
  else
    reading.view();
  return 0;
}

}  // namespace

void add_anomaly_command(CommandLine& line) {
  auto options = std::make_shared<AnomalyOptions>();
  CLI::App* command = line.app().add_subcommand(
      "anomaly", "Rank the lines of a log by how unusual they are, without rules or labels");
  command
      ->add_option("FILE", options->files,
                   "The log; - for standard input. With --baseline or --format html: logs. With --baseline "
                   "also folders")
      ->type_name("");
  command->add_option("--top", options->top, "Number of lines to list (text, json, html)")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000).description(""))
      ->capture_default_str();
  add_alert_rate(*command, options->alert_rate);
  add_after(*command, options->after);
  command
      ->add_option("--session", options->session,
                   "Also rank sessions: lines in which the same word follows TEXT, as in --session 'sshd['")
      ->type_name("TEXT");
  command->add_flag("--no-numbers", options->no_numbers,
                    "Do not count numbers that are far out of their field's range");
  command->add_flag("--no-rates", options->no_rates,
                    "Do not report lines that stop coming, come far more often, or a silent log");
  command
      ->add_option(
          "--budget", options->budget,
          "Read only the first N lines of each shape with the model, to be fast (default: all lines; with "
          "--baseline none)")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000'000).description(""));
  add_time_format(*command, options->time_format);
  add_encoding(*command, options->encoding);
  add_baseline_flags(*command, options->judged);
  add_format_flags(*command, options->shared, "text|json|ndjson|html");
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Lines with the same words are one entry of the list, with the number of times that they came; unusual "
      "lines that follow each other are one entry as well.\n\n"
      "With --format ndjson: one object per log line, with file, line, start, end (bytes), score, time, "
      "text, "
      "parts of the score, context, and known, the nearest line of the baseline. A line "
      "of a stack trace names its record, {\"record\":LINE}. With --alert-rate, alerts have \"alert\":true. "
      "With --session, also one object per session, with "
      "\"type\":\"session\", when it has ended. With --baseline, no model is used. With --format html: "
      "a page with all lines and a list of the most unusual ones, which needs no network.\n\n"
      "Examples:\n  unroll anomaly /var/log/dpkg.log\n  unroll anomaly /var/log/auth.log --session 'sshd['\n"
      "  journalctl -b | unroll anomaly - --format ndjson | jq 'select(.score > 5)'\n"
      "  unroll anomaly huge.log --budget 20\n  unroll anomaly app.log --explain 4711\n"
      "  unroll anomaly failed.log --baseline good.log\n"
      "  unroll anomaly failed/ --baseline good/ --format html --out report.html");
  line.on(command, [options, command] { return run(*options, *command); });
}

}  // namespace unroll
