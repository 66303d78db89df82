// eval, bench: the commands of training/ that measure.
#include <memory>

#include "client/cli/command_line.h"
#include "client/cli/progress.h"
#include "client/cli/text.h"
#include "client/commands/eval_figures.h"
#include "client/views/view.h"
#include "training/evaluate.h"

namespace unroll {
namespace {

struct MeasureOptions {
  SharedOptions shared;
  std::filesystem::path file;
  std::uint64_t reset_tokens = 0;
  int batch = 1;
  double seconds = 5;
};

int run_eval(const MeasureOptions& options) {
  const Source source = Source::open(options.file.string());  // for its errors and its size
  Progress bar(source.name());
  const EvalResult result =
      evaluate(model_folder(options.shared.model), options.file, model_options(options.shared),
               options.reset_tokens, [&](std::uint64_t bytes) {
                 bar.update({bytes, source.total_bytes(), 0, 0});
               });
  bar.hide();
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(to_line(figures_of(result)));
  } else {
    writer.write(describe(result));
  }
  writer.end_line();
  writer.flush();
  return 0;
}

int run_bench(const MeasureOptions& options) {
  const BenchResult result = bench(model_folder(options.shared.model), model_options(options.shared),
                                   options.batch, options.seconds);
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(to_line({{"tokens_per_second", result.tokens_per_second},
                          {"peak_rss_bytes", result.peak_rss_bytes},
                          {"device", result.device},
                          {"dtype", result.dtype},
                          {"batch", result.batch}}));
  } else {
    writer.write(fixed(result.tokens_per_second, 0) + " tokens/s (" + result.device + ", " + result.dtype +
                 ", batch " + std::to_string(result.batch) + "), " +
                 readable_bytes(static_cast<double>(result.peak_rss_bytes)) + " of memory at most");
  }
  writer.end_line();
  writer.flush();
  return 0;
}

void add_eval(CommandLine& line) {
  auto options = std::make_shared<MeasureOptions>();
  CLI::App* command =
      line.app().add_subcommand("eval", "Measure how well a model predicts a file, in bits per byte");
  command->add_option("FILE", options->file, "The file")->required()->type_name("");
  command->add_option("--reset-tokens", options->reset_tokens, "Reset all state every N tokens; 0: never")
      ->type_name("N")
      ->capture_default_str();
  add_format_flags(*command, options->shared, "text|json");
  add_model_flags(*command, options->shared);
  line.on(command, [options] { return run_eval(*options); });
}

void add_bench(CommandLine& line) {
  auto options = std::make_shared<MeasureOptions>();
  CLI::App* command = line.app().add_subcommand("bench", "Measure how fast a model reads on this machine");
  command->add_option("--batch", options->batch, "Number of documents side by side")
      ->type_name("N")
      ->check(CLI::Range(1, 4096).description(""))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "Approximate duration of the measurement, in seconds")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  add_format_flags(*command, options->shared, "text|json");
  add_model_flags(*command, options->shared);
  line.on(command, [options] { return run_bench(*options); });
}

}  // namespace

void add_training_commands(CommandLine& line) {
  add_train_commands(line);
  add_eval(line);
  add_bench(line);
}

}  // namespace unroll
