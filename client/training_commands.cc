// train, eval, bench: the command lines of training/.
#include <array>
#include <csignal>
#include <ctime>
#include <iostream>
#include <memory>

#include "client/command_error.h"
#include "client/command_line.h"
#include "client/progress.h"
#include "client/text.h"
#include "client/view.h"
#include "model/config.h"
#include "model/threads.h"
#include "training/evaluate.h"
#include "training/trainer.h"

namespace unroll {
namespace {

using nlohmann::ordered_json;

/// Ctrl-C and SIGTERM end training with a checkpoint. They are blocked (for the threads made later, too) and
/// asked for between steps.
class StopSignals {
 public:
  StopSignals() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  bool arrived() const {
    const timespec none{};
    return ::sigtimedwait(&signals_, nullptr, &none) > 0;
  }

 private:
  sigset_t signals_{};
};

struct TrainCommand {
  TrainOptions options;
  std::filesystem::path config;
  std::vector<std::string> repeats;
  std::int64_t report_steps = 10;
};

std::pair<std::string, int> parse_repeat(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  try {
    if (equals == std::string::npos || equals == 0) throw std::invalid_argument(text);
    std::size_t used = 0;
    const int times = std::stoi(text.substr(equals + 1), &used);
    if (used != text.size() - equals - 1 || times < 0) throw std::invalid_argument(text);
    return {text.substr(0, equals), times};
  } catch (const std::exception&) {
    throw CommandError("--repeat takes PREFIX=TIMES, for instance log-=3, not '" + text + "'", kExitUsage);
  }
}

void report(const TrainProgress& progress) {
  std::cout << "step " << progress.step << " of " << progress.steps << "  loss " << fixed(progress.loss, 4)
            << " nats  rate " << progress.learning_rate << "  " << fixed(progress.tokens_per_second, 0)
            << " tokens/s" << std::endl;
}

int run_train(TrainCommand& command) {
  wait_without_spinning();
  TrainOptions& options = command.options;
  if (!std::filesystem::is_directory(options.data)) {
    throw CommandError(options.data.string() + " is not a folder; name one with text files with --data");
  }
  options.config = load_model_config(command.config);
  for (const std::string& text : command.repeats) options.repeats.push_back(parse_repeat(text));
  const StopSignals signals;
  train(options, [&](const TrainProgress& progress) {
    const bool stop = signals.arrived();
    const bool last = stop || progress.step == progress.steps;
    if (last || progress.step % command.report_steps == 0) report(progress);
    if (stop)
      std::cout << "stopped; the same command goes on from the checkpoint in " << options.out.string()
                << '\n';
    return !stop;
  });
  return 0;
}

void add_train(CommandLine& line) {
  auto command = std::make_shared<TrainCommand>();
  TrainOptions& options = command->options;
  CLI::App* train = line.app().add_subcommand("train", "Train a model; goes on where an earlier run stopped");
  train->add_option("--data", options.data, "Folder of text files, one a document")
      ->required()
      ->type_name("DIR");
  train->add_option("--vocabulary", options.vocabulary, "SentencePiece vocabulary (tokenizer.model)")
      ->required()
      ->type_name("FILE");
  train->add_option("--config", command->config, "Shape of the model (config.json)")
      ->required()
      ->type_name("FILE");
  train->add_option("--out", options.out, "Folder of the checkpoint; resumed where it exists")
      ->required()
      ->type_name("DIR");
  const auto number = [&](const char* name, auto& value, const char* description) {
    train->add_option(name, value, description)->type_name("N")->capture_default_str();
  };
  number("--steps", options.steps, "Steps in all");
  number("--lanes", options.lanes, "Documents side by side: the batch");
  number("--blocks-per-step", options.blocks_per_step, "Blocks that back-propagation reaches through");
  number("--piece-blocks", options.piece_blocks, "Longer documents are cut into pieces of so many blocks");
  number("--learning-rate", options.learning_rate, "Highest learning rate");
  number("--final-learning-rate", options.final_learning_rate, "Learning rate of the last step");
  number("--warmup-steps", options.warmup_steps, "Steps until the highest learning rate");
  number("--qk-scale", options.qk_scale, "Scale that normalised queries and keys begin with");
  number("--weight-decay", options.weight_decay, "Of matrices");
  number("--clip-norm", options.clip_norm, "Longest gradient");
  number("--memory-dropout", options.memory_dropout, "Chance, each step, that memories are dropped");
  number("--state-dropout", options.state_dropout, "Chance, each step, that states are dropped");
  number("--seed", options.seed, "Of everything random");
  number("--checkpoint-steps", options.checkpoint_steps, "Steps between checkpoints");
  number("--threads", options.threads, "0: as many as there are cores");
  number("--report-steps", command->report_steps, "Steps between reports");
  train->add_option("--dtype", options.dtype, "Numbers of the matrix products")
      ->type_name("fp32|bf16")
      ->check(one_of({"fp32", "bf16"}))
      ->capture_default_str();
  train->add_option("--save-dtype", options.save_dtype, "Numbers of the weights that are written")
      ->type_name("fp32|bf16|int8")
      ->check(one_of({"fp32", "bf16", "int8"}))
      ->capture_default_str();
  add_repeated_option(*train, "--repeat", command->repeats,
                      "Show files whose name begins so this often an epoch", "PREFIX=TIMES");
  train->footer("Ctrl-C stops after the step, with a checkpoint.");
  line.on(train, [command] { return run_train(*command); });
}

struct MeasureOptions {
  SharedOptions shared;
  std::filesystem::path file;
  std::uint64_t reset_tokens = 0;
  int batch = 1;
  double seconds = 5;
};

int run_eval(const MeasureOptions& options) {
  wait_without_spinning();
  const Source source = Source::open(options.file.string());  // For its errors and its size.
  Progress bar(source.name());
  const EvalResult result =
      evaluate(model_folder(options.shared.model), options.file, model_options(options.shared),
               options.reset_tokens, [&](std::uint64_t bytes) {
                 bar.update({bytes, source.total_bytes(), 0, 0});
               });
  bar.hide();
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(to_line({{"bits_per_byte", result.bits_per_byte},
                          {"tokens", result.tokens},
                          {"bytes", result.bytes},
                          {"nats", result.nats},
                          {"tokens_per_second", result.tokens_per_second}}));
  } else {
    writer.write(with_thousands(result.bytes) + " bytes, " + with_thousands(result.tokens) +
                 " tokens: " + fixed(result.bits_per_byte, 4) + " bits per byte, " +
                 fixed(result.tokens_per_second, 0) + " tokens/s");
  }
  writer.end_line();
  writer.flush();
  return 0;
}

int run_bench(const MeasureOptions& options) {
  wait_without_spinning();
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
  CLI::App* command = line.app().add_subcommand("eval", "How well a model predicts a file, in bits per byte");
  command->add_option("FILE", options->file, "The file")->required()->type_name("");
  command
      ->add_option("--reset-tokens", options->reset_tokens,
                   "Forget everything every so many tokens; 0: never")
      ->type_name("N")
      ->capture_default_str();
  add_format_flags(*command, options->shared, "text|json");
  add_model_flags(*command, options->shared);
  line.on(command, [options] { return run_eval(*options); });
}

void add_bench(CommandLine& line) {
  auto options = std::make_shared<MeasureOptions>();
  CLI::App* command = line.app().add_subcommand("bench", "How fast a model reads on this machine");
  command->add_option("--batch", options->batch, "Documents side by side")
      ->type_name("N")
      ->check(CLI::Range(1, 4096).description(""))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "About how long to measure")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  add_format_flags(*command, options->shared, "text|json");
  add_model_flags(*command, options->shared);
  line.on(command, [options] { return run_bench(*options); });
}

}  // namespace

void add_training_commands(CommandLine& line) {
  add_train(line);
  add_eval(line);
  add_bench(line);
}

}  // namespace unroll
