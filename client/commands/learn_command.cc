// learn, and anomaly with a baseline.
#include "client/commands/learn_command.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <iostream>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/note.h"
#include "client/cli/text.h"
#include "client/logs/judge.h"
#include "client/sources/log_text.h"
#include "client/views/rate_text.h"

namespace unroll {
namespace {

/// Of files of `unroll learn`, of logs and of folders of logs.
Baseline baseline_of(const std::vector<std::string>& arguments, const LogReading& reading) {
  Baseline baseline;
  for (const std::string& argument : arguments) {
    if (argument != "-" && baseline.load(argument)) continue;
    for (const LogFile& log : log_files({argument}, note)) baseline.learn(log, reading, note);
  }
  return baseline;
}

std::string count_of(std::uint64_t number, const std::string& what) {
  return with_thousands(number) + " " + what + (number == 1 ? "" : "s");
}

struct LearnOptions {
  std::vector<std::string> logs;
  std::string encoding, time_format, out;
};

int learn(const LearnOptions& options) {
  const Baseline baseline =
      baseline_of(options.logs, {options.encoding, records::TimeFormat(options.time_format)});
  baseline.save(options.out);
  note(options.out + " holds " + count_of(baseline.lines(), "line") + " of " +
       count_of(baseline.logs(), "log") + ", " + with_thousands(baseline.different()) + " of them different");
  return 0;
}

/// Why a line has its score.
void explain(const LogRecord& record, const Judgement& judgement, const std::string& ignore_file) {
  std::string words;
  for (const std::string& word : line_words(record.text)) words += (words.empty() ? "" : " ") + word;
  std::cout << "score     " << fixed(judgement.score(), 2) << "\n  distance  " << fixed(judgement.distance, 2)
            << " of 10 to the nearest known line\n  severity  " << fixed(judgement.severity, 2) << ": "
            << severity_reason(record.facts) << "\n  numbers   " << fixed(judgement.number.bonus, 2);
  if (judgement.number.bonus > 0) std::cout << range_text(number_of(judgement.number));
  std::cout << '\n';
  if (judgement.ignored_by > 0)
    std::cout << "ignored   by line " << judgement.ignored_by << " of " << ignore_file << '\n';
  std::cout << "line      " << one_line(record.text) << "\ncompared  " << one_line(words) << "\nknown     "
            << (judgement.known.empty() ? "nothing is like it" : one_line(judgement.known)) << '\n';
}

/// Compares the logs with their baselines.
class LogJudge {
 public:
  explicit LogJudge(const JudgedOptions& options)
      : options_(options),
        reading_{options.encoding, records::TimeFormat(options.time_format)},
        rules_(options.ignore_file.empty() ? IgnoreRules() : IgnoreRules(options.ignore_file)),
        baseline_(baseline_of(options.baselines, reading_)) {}

  void explain_text() {
    LogRecord record;
    record.text = records::carried_text(log_line_text(options_.explained)).text;
    record.facts = records::record_facts(record.text);
    std::string pair;
    explain(record, judge(baseline_.good_for("", pair), record, rules_, options_.how), options_.ignore_file);
  }

  void explain_line() {
    const std::uint64_t wanted = line_number(options_.explained);
    bool found = false;
    for (const LogFile& log : log_files(options_.targets, note)) {
      read(log, [&](const LogRecord& record, const Judgement& judgement, LogHabits&) {
        if (wanted < record.line || wanted >= record.line + record.lines) return;
        found = true;
        explain(record, judgement, options_.ignore_file);
      });
    }
    if (!found) throw CommandError("there is no line " + options_.explained);
  }

  void view_all() {
    ResultWriter writer(options_.out);
    const std::vector<LogFile> logs = log_files(options_.targets, note);
    JudgeView view(options_.how, writer, report_title(options_.targets));
    for (const LogFile& log : logs) {
      view.begin_log(log.path == "-" ? "standard input" : log.path.string());
      read(log, [&](const LogRecord& record, const Judgement& judgement, LogHabits& habits) {
        view.line(record, judgement);
        if (options_.how.rates) look_at_rates(record, habits, view);
      });
      view.end_log();
    }
    view.finish(baseline_.lines());
    writer.flush();
  }

 private:
  using Take = std::function<void(const LogRecord&, const Judgement&, LogHabits&)>;

  /// The habits are the log's own: it follows the good one, and no other target sees what it does.
  void read(const LogFile& log, const Take& take) {
    std::string pair;
    GoodLog& good = baseline_.good_for(log.name, pair);
    if (pair.empty())
      note(log.path.string() + ": no log of the baseline has this name; it is compared with all of them");
    LogHabits habits = good.habits;
    habits.begin_file();
    double record_score = 0;
    const std::string told = read_records(Source::open(log.path.string()), reading_.encoding, reading_.times,
                                          [&](const LogRecord& record) {
                                            Judgement judgement = judge(good, record, rules_, options_.how);
                                            if (record.place == records::LinePlace::kRecord) record_score = 0;
                                            if (record.place == records::LinePlace::kFrame)
                                              judgement.limit(record_score / 2);
                                            record_score = std::max(record_score, judgement.score());
                                            take(record, judgement, habits);
                                          });
    if (!told.empty()) note(told);
    const std::string times = about_times(log.path.string(), reading_.encoding, reading_.times);
    if (!times.empty() && options_.how.rates) note(times);
  }

  void look_at_rates(const LogRecord& record, LogHabits& habits, JudgeView& view) {
    for (const builtin::RateEvent& rate : habits.look(record, reading_.times)) {
      if (rules_.rule_for(rate.text) == 0) view.rate(record, rate);
    }
  }

  const JudgedOptions& options_;
  const LogReading reading_;
  const IgnoreRules rules_;
  Baseline baseline_;
};

}  // namespace

void add_baseline_flags(CLI::App& command, JudgedOptions& options) {
  command
      .add_option("--baseline", options.baselines,
                  "Compare with good logs instead: files of 'unroll learn', logs, folders")
      ->type_name("GOOD...");
  command
      .add_option("--ignore-file", options.ignore_file,
                  "A regular expression per line; what one matches has score 0 and is no alert")
      ->type_name("FILE");
  command
      .add_option("--context", options.how.context,
                  "Also give the N lines before and after a line with a score of 1 or more (json, ndjson)")
      ->type_name("N")
      ->check(CLI::Range(0, 100).description(""));
  command
      .add_option("--explain", options.explained,
                  "Say how the score of this line is made: its number; with --baseline and no FILE its text")
      ->type_name("LINE");
}

std::uint64_t line_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
  if (end != text.data() + text.size() || number == 0)
    throw CommandError("--explain takes the number of a line of FILE, not '" + text + "'", kExitUsage);
  return number;
}

int judge_logs(const JudgedOptions& options) {
  if (options.targets.empty() && options.explained.empty())
    throw CommandError("name the logs to compare with the baseline, before --baseline", kExitUsage);
  LogJudge judge(options);
  if (options.explained.empty())
    judge.view_all();
  else if (options.targets.empty())
    judge.explain_text();
  else
    judge.explain_line();
  return 0;
}

std::string report_title(const std::vector<std::string>& logs) {
  return "Unusual lines of " + (logs.size() == 1 ? logs.front() : count_of(logs.size(), "log"));
}

void add_learn_command(CommandLine& line) {
  auto options = std::make_shared<LearnOptions>();
  CLI::App* command =
      line.app().add_subcommand("learn", "Learn the lines of good logs, to compare others with");
  command->add_option("LOG", options->logs, "Logs of good runs: files, folders; - for standard input")
      ->required()
      ->type_name("");
  command->add_option("--out", options->out, "The file to write")->required()->type_name("FILE");
  add_time_format(*command, options->time_format);
  add_encoding(*command, options->encoding);
  command->footer(
      "The file holds, as text, one line for each form of line, and in binary form the ranges of numbers and "
      "how often "
      "lines come. Logs are matched by their file names; dates "
      "and the suffixes of rotation in a name do not count.\n\n"
      "Example:\n  unroll learn good/ --out good.base && unroll anomaly failed/ --baseline good.base");
  line.on(command, [options] { return learn(*options); });
}

void add_time_format(CLI::App& command, std::string& format) {
  command
      .add_option("--time-format", format,
                  "How the lines' times are written, as strptime(3) has it (default: the usual forms)")
      ->type_name("FORMAT");
}

void add_encoding(CLI::App& command, std::string& encoding) {
  command
      .add_option("--encoding", encoding,
                  "Encoding of the log, as iconv names it (default: by its byte order mark, else UTF-8)")
      ->type_name("NAME");
}

}  // namespace unroll
