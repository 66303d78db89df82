// learn, and anomaly with a baseline.
#include "client/commands/learn_command.h"

#include <iostream>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/note.h"
#include "client/cli/text.h"
#include "client/logs/judge.h"
#include "client/sources/log_text.h"

namespace unroll {
namespace {

/// Of files of `unroll learn`, of logs and of folders of logs.
Baseline baseline_of(const std::vector<std::string>& arguments, const std::string& encoding) {
  Baseline baseline;
  for (const std::string& argument : arguments) {
    if (argument != "-" && baseline.load(argument)) continue;
    for (const LogFile& log : log_files({argument}, note)) baseline.learn(log, encoding, note);
  }
  return baseline;
}

std::string count_of(std::uint64_t number, const std::string& what) {
  return with_thousands(number) + " " + what + (number == 1 ? "" : "s");
}

struct LearnOptions {
  std::vector<std::string> logs;
  std::string encoding, out;
};

int learn(const LearnOptions& options) {
  const Baseline baseline = baseline_of(options.logs, options.encoding);
  baseline.save(options.out);
  note(options.out + " holds " + count_of(baseline.lines(), "line") + " of " +
       count_of(baseline.logs(), "log") + ", " + with_thousands(baseline.different()) + " of them different");
  return 0;
}

/// Why a line has its score.
void explain(KnownLines& known, const JudgedOptions& options, const IgnoreRules& rules) {
  LogRecord record;
  record.text = records::carried_text(log_line_text(options.explained)).text;
  record.facts = records::record_facts(record.text);
  const Judgement judgement = judge(known, record, rules);
  constexpr const char* kSeverities[] = {"routine", "warning", "error", "fatal"};
  std::string words;
  for (const std::string& word : line_words(record.text)) words += (words.empty() ? "" : " ") + word;
  std::cout << "score     " << fixed(judgement.score(), 2) << "\n  distance  " << fixed(judgement.distance, 2)
            << " of 10 to the nearest known line\n  severity  " << fixed(judgement.severity, 2) << ": "
            << kSeverities[record.facts.severity] << " by its "
            << (record.facts.has_level ? "level" : "words") << '\n';
  if (judgement.ignored_by > 0)
    std::cout << "ignored   by line " << judgement.ignored_by << " of " << options.ignore_file << '\n';
  std::cout << "compared  " << one_line(words) << "\nknown     "
            << (judgement.known.empty() ? "nothing is like it" : one_line(judgement.known)) << '\n';
}

}  // namespace

void add_baseline_flags(CLI::App& command, JudgedOptions& options) {
  command
      .add_option("--baseline", options.baselines,
                  "Compare with good logs instead: files of 'unroll learn', logs, folders")
      ->type_name("GOOD...");
  command
      .add_option("--ignore-file", options.ignore_file,
                  "With --baseline: a regular expression per line; what one matches has score 0")
      ->type_name("FILE");
  command
      .add_option("--context", options.context,
                  "With --baseline: also give the N lines before and after an odd line (json, ndjson)")
      ->type_name("N")
      ->check(CLI::Range(0, 100).description(""));
  command
      .add_option("--explain", options.explained, "With --baseline: say how the score of this line is made")
      ->type_name("LINE");
}

int judge_logs(const JudgedOptions& options) {
  if (options.baselines.empty())
    throw CommandError("--ignore-file, --context and --explain need a --baseline", kExitUsage);
  if (options.targets.empty() && options.explained.empty())
    throw CommandError("name the logs to compare with the baseline, before --baseline", kExitUsage);
  const IgnoreRules rules = options.ignore_file.empty() ? IgnoreRules() : IgnoreRules(options.ignore_file);
  Baseline baseline = baseline_of(options.baselines, options.encoding);
  std::string pair;
  if (!options.explained.empty()) {
    explain(baseline.known_for("", pair), options, rules);
    return 0;
  }
  ResultWriter writer(options.out);
  const std::vector<LogFile> logs = log_files(options.targets, note);
  JudgeView view({options.format, options.top, options.context}, writer, report_title(options.targets));
  for (const LogFile& log : logs) {
    KnownLines& known = baseline.known_for(log.name, pair);
    if (pair.empty())
      note(log.path.string() + ": no log of the baseline has this name; it is compared with all of them");
    Source source = Source::open(log.path.string());
    view.begin_log(log.path == "-" ? source.name() : log.path.string());
    double record_score = 0;
    const std::string told = read_records(std::move(source), options.encoding, [&](const LogRecord& record) {
      Judgement judgement = judge(known, record, rules);
      if (record.place == records::LinePlace::kRecord) record_score = 0;
      if (record.place == records::LinePlace::kFrame) judgement.limit(record_score / 2);
      record_score = std::max(record_score, judgement.score());
      view.line(record, judgement);
    });
    view.end_log();
    if (!told.empty()) note(told);
  }
  view.finish(baseline.lines());
  writer.flush();
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
  add_encoding(*command, options->encoding);
  command->footer(
      "The file holds, as text, one line for each form of line. Logs are matched by their file names; dates "
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
