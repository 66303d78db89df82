// batch: every file of a folder, or every record of files.
#include <iostream>
#include <memory>

#include "base/stop_signals.h"
#include "client/batch/batch.h"
#include "client/batch/corpus.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

constexpr std::size_t kMaxJobs = 256;

/// The command's options, for either kind of input.
struct BatchArguments {
  BatchOptions files;
  CorpusOptions corpus;
  std::size_t jobs = 0;  ///< 0: as many as suit the input.
};

template <typename Summary>
double tokens_per_second(const Summary& summary) {
  return summary.seconds > 0 ? static_cast<double>(summary.tokens) / summary.seconds : 0;
}

template <typename Summary>
void print_json(nlohmann::ordered_json counts, const Summary& summary) {
  counts["bytes"] = summary.bytes;
  counts["tokens"] = summary.tokens;
  counts["seconds"] = summary.seconds;
  counts["tokens_per_second"] = tokens_per_second(summary);
  std::cout << to_line(counts) << '\n';
}

void print_row(const char* name, const std::string& value, const char* what = "") {
  const std::string text = left(name, 10) + right(value, 14) + "  " + what;
  std::cout << text.substr(0, text.find_last_not_of(' ') + 1) << '\n';
}

template <typename Summary>
void print_totals(const Summary& summary) {
  print_row("bytes", readable_bytes(static_cast<double>(summary.bytes)));
  print_row("tokens", with_thousands(summary.tokens));
  print_row("time", readable_seconds(summary.seconds));
  print_row("tokens/s", with_thousands(static_cast<std::uint64_t>(tokens_per_second(summary))));
}

int exit_code(std::size_t left, bool failed) {
  if (stop_signal() != 0) {
    std::cerr << "unroll: stopped with " << with_thousands(left)
              << " files left; run the command again to resume\n";
    return 128 + stop_signal();
  }
  return failed ? kExitFailed : 0;
}

int read_files(const BatchOptions& options) {
  const BatchSummary summary = Batch(options).run(stop_signal());
  if (options.shared.format == "json") {
    print_json({{"read", summary.read},
                {"resumed", summary.resumed},
                {"copied", summary.copied},
                {"skipped", summary.skipped},
                {"failed", summary.failed},
                {"left", summary.left}},
               summary);
  } else {
    print_row("read", with_thousands(summary.read), "files");
    print_row("resumed", with_thousands(summary.resumed), "files, in the middle");
    print_row("copied", with_thousands(summary.copied), "files, results of the same content");
    print_row("skipped", with_thousands(summary.skipped), "files, done before");
    print_row("failed", with_thousands(summary.failed), "files");
    if (summary.left > 0) print_row("left", with_thousands(summary.left), "files, for the next run");
    print_totals(summary);
  }
  return exit_code(summary.left, summary.failed > 0);
}

int read_corpus(const CorpusOptions& options) {
  const CorpusSummary summary = Corpus(options).run(stop_signal());
  if (options.shared.format == "json") {
    print_json({{"files", summary.files},
                {"skipped", summary.skipped},
                {"failed", summary.failed},
                {"left", summary.left},
                {"records", summary.records},
                {"resumed", summary.resumed},
                {"damaged", summary.damaged}},
               summary);
  } else {
    print_row("files", with_thousands(summary.files), "completed");
    print_row("skipped", with_thousands(summary.skipped), "files, done before");
    print_row("failed", with_thousands(summary.failed), "files");
    if (summary.left > 0) print_row("left", with_thousands(summary.left), "files, for the next run");
    print_row("records", with_thousands(summary.records), "read");
    print_row("resumed", with_thousands(summary.resumed), "records, of an earlier run");
    print_row("damaged", with_thousands(summary.damaged), "records without a result; their rows say why");
    print_totals(summary);
  }
  return exit_code(summary.left, summary.failed + summary.damaged > 0);
}

int batch(const BatchArguments& arguments) {
  stop_at_signals();
  if (arguments.corpus.patterns.empty()) {
    if (arguments.files.folder.empty())
      throw CommandError("name a folder, or files of records with --input", kExitUsage);
    auto options = arguments.files;
    if (arguments.jobs > 0) options.jobs = arguments.jobs;
    return read_files(options);
  }
  check(arguments.corpus.fields);
  auto options = arguments.corpus;
  options.shared = arguments.files.shared;
  options.out = arguments.files.out;
  options.plugins = arguments.files.plugins;
  if (arguments.jobs > 0) options.jobs = arguments.jobs;
  return read_corpus(options);
}

}  // namespace

void add_batch_command(CommandLine& line) {
  auto arguments = std::make_shared<BatchArguments>();
  auto* options = &arguments->files;
  auto* corpus = &arguments->corpus;
  CLI::App* command = line.app().add_subcommand("batch",
                                                "Read every file in a folder, or every record of a corpus; "
                                                "resumes after interruption, skips finished files");
  auto* folder =
      command->add_option("DIR", options->folder, "Folder with the documents, including subfolders")
          ->type_name("");
  auto* input = add_repeated_option(
      *command, "--input", corpus->patterns,
      "Files whose records are the documents, in place of DIR: JSON Lines, Parquet, WARC; can be repeated",
      "GLOB");
  input->excludes(folder);
  command
      ->add_option("--text-field", corpus->fields.text,
                   "JSON Lines, Parquet: key, or JSON Pointer, of a record's text")
      ->type_name("KEY")
      ->needs(input)
      ->capture_default_str();
  command
      ->add_option("--id-field", corpus->fields.id,
                   "Key, or WARC header, of a record's id (default: its number, or its URI)")
      ->type_name("KEY")
      ->needs(input);
  command
      ->add_option("--out", options->out,
                   "Folder for the results: FILE.ndjson for each FILE; with --input, FILE.jsonl with one row "
                   "per record")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--output-format", corpus->output_format,
                   "With --input: format of the results; parquet needs a python3 with pyarrow")
      ->type_name("jsonl|parquet")
      ->check(one_of({"jsonl", "parquet"}))
      ->needs(input)
      ->capture_default_str();
  add_repeated_option(*command, "--plugin", options->plugins,
                      "Plugin, optionally with options; can be repeated", "NAME[:JSON]")
      ->default_str("score");
  command
      ->add_option("--jobs", arguments->jobs,
                   "Number of documents to read at a time (default: 2; with --input 16)")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMaxJobs).description(""));
  options->shared.format = "text";
  command->add_option("--format", options->shared.format, "Format of the summary at the end")
      ->type_name("text|json")
      ->check(one_of({"text", "json"}))
      ->capture_default_str();
  add_reader_flags(line, *command, options->shared);
  command->footer(
      "Reads gzip, xz and zstd files decompressed. After an interruption of any kind, run it again: it "
      "resumes in the middle of its files, and the results are the same as without an interruption. A file "
      "is read again if its content, the plugins or the model have changed. The records of earlier runs are "
      "in .unroll in the folder of --out.\n\n"
      "With --input, each row has the record's id, tokens, bytes and bits_per_byte, and the last output of "
      "each "
      "other plugin under its name. The row of a damaged record has an error, and the exit code is 1.\n\n"
      "Examples:\n"
      "  unroll batch books --out scores --jobs 4\n"
      "  unroll batch --input 'crawl/*.jsonl.gz' --text-field text --id-field url --out scores");
  line.on(command, [arguments] { return batch(*arguments); });
}

}  // namespace unroll
