// batch: every file of a folder.
#include <iostream>
#include <memory>

#include "base/stop_signals.h"
#include "client/batch/batch.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

constexpr std::size_t kMaxJobs = 256;

double tokens_per_second(const BatchSummary& summary) {
  return summary.seconds > 0 ? static_cast<double>(summary.tokens) / summary.seconds : 0;
}

void print_json(const BatchSummary& summary) {
  std::cout << to_line(nlohmann::ordered_json{{"read", summary.read},
                                              {"resumed", summary.resumed},
                                              {"copied", summary.copied},
                                              {"skipped", summary.skipped},
                                              {"failed", summary.failed},
                                              {"left", summary.left},
                                              {"bytes", summary.bytes},
                                              {"tokens", summary.tokens},
                                              {"seconds", summary.seconds},
                                              {"tokens_per_second", tokens_per_second(summary)}})
            << '\n';
}

void print_table(const BatchSummary& summary) {
  const auto row = [](const char* name, const std::string& value, const char* what = "") {
    const std::string text = left(name, 10) + right(value, 14) + "  " + what;
    std::cout << text.substr(0, text.find_last_not_of(' ') + 1) << '\n';
  };
  row("read", with_thousands(summary.read), "files");
  row("resumed", with_thousands(summary.resumed), "files, in the middle");
  row("copied", with_thousands(summary.copied), "files, results of the same content");
  row("skipped", with_thousands(summary.skipped), "files, done before");
  row("failed", with_thousands(summary.failed), "files");
  if (summary.left > 0) row("left", with_thousands(summary.left), "files, for the next run");
  row("bytes", readable_bytes(static_cast<double>(summary.bytes)));
  row("tokens", with_thousands(summary.tokens));
  row("time", readable_seconds(summary.seconds));
  row("tokens/s", with_thousands(static_cast<std::uint64_t>(tokens_per_second(summary))));
}

int batch(const BatchOptions& options) {
  stop_at_signals();
  const BatchSummary summary = Batch(options).run(stop_signal());
  if (options.shared.format == "json") {
    print_json(summary);
  } else {
    print_table(summary);
  }
  if (stop_signal() != 0) {
    std::cerr << "unroll: stopped with " << with_thousands(summary.left)
              << " files left; run the command again to resume\n";
    return 128 + stop_signal();
  }
  return summary.failed == 0 ? 0 : kExitFailed;
}

}  // namespace

void add_batch_command(CommandLine& line) {
  auto options = std::make_shared<BatchOptions>();
  CLI::App* command = line.app().add_subcommand(
      "batch", "Read every file in a folder; resumes after interruption, skips finished files");
  command->add_option("DIR", options->folder, "Folder with the documents, including subfolders")
      ->required()
      ->type_name("");
  command->add_option("--out", options->out, "Folder for the results: one FILE.ndjson for each FILE")
      ->required()
      ->type_name("DIR");
  add_repeated_option(*command, "--plugin", options->plugins,
                      "Plugin, optionally with options; can be repeated", "NAME[:JSON]")
      ->default_str("score");
  command->add_option("--jobs", options->jobs, "Number of files to read at a time")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, kMaxJobs).description(""))
      ->capture_default_str();
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
      "Example:\n  unroll batch books --out scores --jobs 4");
  line.on(command, [options] { return batch(*options); });
}

}  // namespace unroll
