// prepare, train: the commands of training/ that write files.
#include <iostream>
#include <map>
#include <memory>

#include "base/stop_signals.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/progress.h"
#include "client/cli/text.h"
#include "client/cli/training_progress.h"
#include "model/config.h"
#include "training/token_file.h"
#include "training/trainer.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

struct TrainCommand {
  TrainOptions options;
  fs::path config;
  std::vector<std::string> repeats;
  std::int64_t report_steps = 10;
  std::map<std::string, CLI::Option*> given;  ///< To distinguish given options from defaults.
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

std::string base_name(const fs::path& path) {
  return fs::absolute(path / ".").lexically_normal().parent_path().filename().string();
}

/// Sets defaults for fine-tuning: a trained model and little text. (docs/training.md has the
/// measurements.)
void set_fine_tuning_defaults(TrainCommand& command) {
  TrainOptions& options = command.options;
  const auto unless_given = [&](const char* name, auto& value, auto otherwise) {
    if (command.given.at(name)->count() == 0) value = otherwise;
  };
  options.vocabulary = options.from / "tokenizer.model";
  command.config = options.from / "config.json";
  unless_given("--steps", options.steps, std::int64_t{0});
  unless_given("--lanes", options.lanes, 2);
  unless_given("--learning-rate", options.learning_rate, 1e-3);
  unless_given("--warmup-steps", options.warmup_steps, std::int64_t{10});
  unless_given("--hold-out", options.hold_out, options.validation.empty() ? 0.1 : 0.0);
  unless_given("--validation-steps", options.validation_steps, std::int64_t{20});
  unless_given("--checkpoint-steps", options.checkpoint_steps, std::int64_t{20});
  unless_given("--patience", options.patience, 3);
  if (options.out.empty()) options.out = base_name(options.from) + "-" + base_name(options.data);
}

void complete(TrainCommand& command) {
  TrainOptions& options = command.options;
  if (!fs::exists(options.data)) {
    throw CommandError("there is no " + options.data.string() +
                       "; name a folder of text files, or a file of unroll prepare, with --data");
  }
  if (!options.from.empty()) {
    set_fine_tuning_defaults(command);
  } else if (options.vocabulary.empty() || command.config.empty() || options.out.empty()) {
    throw CommandError(
        "a new model needs --vocabulary, --config and --out; to fine-tune an existing model "
        "on your text, name it with --from",
        kExitUsage);
  }
  options.config = load_model_config(command.config);
  for (const std::string& text : command.repeats) options.repeats.push_back(parse_repeat(text));
}

void print_step(const TrainProgress& progress) {
  std::cout << "step " << progress.step << " of " << progress.steps << "  loss " << fixed(progress.loss, 4)
            << " nats  rate " << progress.learning_rate << "  " << fixed(progress.tokens_per_second, 0)
            << " tokens/s";
  if (progress.validation_loss)
    std::cout << "  validation " << fixed(*progress.validation_loss, 4) << " nats";
  std::cout << std::endl;
}

void print_result(const TrainResult& result, const fs::path& out, bool stopped) {
  if (result.first_bits_per_byte) {
    std::cout << "validation: " << fixed(*result.first_bits_per_byte, 4) << " bits per byte at first, "
              << fixed(*result.best_bits_per_byte, 4) << " after step " << result.best_step
              << ", which is the model in " << out.string() << '\n';
  }
  if (result.ended_early) {
    std::cout << "ended early, at step " << result.step << " of " << result.steps
              << ": validation stopped improving (--patience)\n";
  } else if (stopped) {
    std::cout << "stopped; the same command resumes from the checkpoint in " << out.string() << '\n';
  }
}

ReadProgress read_progress(const PrepareProgress& progress) {
  return {progress.bytes, progress.total_bytes, progress.tokens, 0};
}

int run_train(TrainCommand& command) {
  complete(command);
  const TrainOptions& options = command.options;
  stop_at_signals();
  Progress preparing(options.data.string());
  TrainingProgress bar;
  bool stop = false;
  TrainCallbacks callbacks;
  callbacks.preparing = [&](const PrepareProgress& progress) { preparing.update(read_progress(progress)); };
  callbacks.note = [&](const std::string& text) {
    preparing.hide();
    std::cerr << "unroll: " << one_line(text) << std::endl;
  };
  callbacks.step = [&](const TrainProgress& progress) {
    preparing.hide();
    stop = stop_signal() != 0;
    const bool last = stop || progress.step == progress.steps;
    if (last || progress.validation_loss || progress.step % command.report_steps == 0) {
      bar.hide();
      print_step(progress);
    }
    bar.update(progress);
    return !stop;
  };
  const TrainResult result = train(options, callbacks);
  bar.hide();
  print_result(result, options.out, stop);
  return 0;
}

/// Adds the options for inputs and outputs; the others are in add_train_numbers().
void add_train_paths(CLI::App& train, TrainCommand& command) {
  TrainOptions& options = command.options;
  train
      .add_option("--data", options.data,
                  "Folder of text files, one per document; or a file made by unroll prepare")
      ->required()
      ->type_name("PATH");
  train.add_option("--from", options.from, "Start from this model: its weights, vocabulary and shape")
      ->type_name("DIR");
  train.add_option("--vocabulary", options.vocabulary, "SentencePiece vocabulary (tokenizer.model)")
      ->excludes("--from")
      ->type_name("FILE");
  train.add_option("--config", command.config, "Shape of the model (config.json)")
      ->excludes("--from")
      ->type_name("FILE");
  train
      .add_option("--out", options.out,
                  "Folder of the checkpoint; resumed if it exists; with --from, NAME-DATA by default")
      ->type_name("DIR");
  train.add_option("--validation", options.validation, "Text to validate on, as --data")->type_name("PATH");
}

void add_train_numbers(CLI::App& train, TrainCommand& command) {
  TrainOptions& options = command.options;
  const auto number = [&](const char* name, auto& value, const char* description) {
    command.given[name] = train.add_option(name, value, description)->type_name("N")->capture_default_str();
  };
  number("--steps", options.steps, "Total number of steps; 0: from the size of the data");
  number("--lanes", options.lanes, "Documents side by side: the batch size");
  number("--blocks-per-step", options.blocks_per_step, "Blocks that back-propagation reaches through");
  number("--accumulate", options.accumulate, "Back-propagations per step, whose gradients are averaged");
  number("--piece-blocks", options.piece_blocks, "Cut longer documents into pieces of this many blocks");
  number("--learning-rate", options.learning_rate, "Highest learning rate");
  number("--final-learning-rate", options.final_learning_rate, "Learning rate of the last step");
  number("--warmup-steps", options.warmup_steps, "Steps until the highest learning rate");
  number("--qk-scale", options.qk_scale, "Initial scale of normalised queries and keys");
  number("--weight-decay", options.weight_decay, "Weight decay of matrices");
  number("--clip-norm", options.clip_norm, "Largest norm of the gradient");
  number("--memory-dropout", options.memory_dropout,
         "Probability that a back-propagation drops the memories");
  number("--state-dropout", options.state_dropout, "Probability that a back-propagation drops the states");
  train.add_flag("--memory-replay", options.memory_replay,
                 "Keep gradients of one block at a time; a third more work");
  number("--compression-loss", options.compression_loss, "Weight of the compressed memories' loss");
  number("--ema", options.average_decay, "Decay of the weights' average, which is then the model; 0: none");
  number("--hold-out", options.hold_out, "Share of each document, its end, to validate on");
  number("--validation-steps", options.validation_steps, "Steps between validations");
  number("--patience", options.patience, "Validations without a new best that end training; 0: never");
  number("--seed", options.seed, "Random seed");
  number("--checkpoint-steps", options.checkpoint_steps, "Steps between checkpoints");
  number("--threads", options.threads, "Number of threads; 0: one per core");
  number("--report-steps", command.report_steps, "Steps between reports");
}

void add_train(CommandLine& line) {
  auto command = std::make_shared<TrainCommand>();
  CLI::App* train = line.app().add_subcommand("train", "Train a model; resumes an earlier run");
  add_train_paths(*train, *command);
  add_train_numbers(*train, *command);
  train->add_option("--device", command->options.device, "Device to train on; auto: a GPU if there is one")
      ->type_name("auto|cpu|cuda")
      ->check(one_of({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  train->add_option("--dtype", command->options.dtype, "Type of numbers in the matrix products")
      ->type_name("auto|fp32|bf16")
      ->check(one_of({"auto", "fp32", "bf16"}))
      ->capture_default_str();
  train
      ->add_option("--optimizer", command->options.optimizer,
                   "muon for hidden matrices with adamw for the rest, or adamw for all")
      ->type_name("adamw|muon")
      ->check(one_of({"adamw", "muon"}))
      ->capture_default_str();
  train->add_option("--save-dtype", command->options.save_dtype, "Numbers of the weights that are written")
      ->type_name("fp32|bf16|int8")
      ->check(one_of({"fp32", "bf16", "int8"}))
      ->capture_default_str();
  add_repeated_option(*train, "--repeat", command->repeats,
                      "Use files whose name begins with PREFIX so often per epoch", "PREFIX=TIMES");
  train->footer(
      "To fine-tune a model on your own logs:\n"
      "    unroll train --from models/unroll-small --data /var/log/app\n"
      "Steps and rates are then set for fine-tuning, the end of each file is held out, and training ends\n"
      "when the loss on it stops improving. Ctrl-C stops after the current step and writes a checkpoint.");
  line.on(train, [command] { return run_train(*command); });
}

struct PrepareCommand {
  fs::path source, vocabulary, out;
};

int run_prepare(const PrepareCommand& command) {
  Progress bar(command.source.string());
  const PrepareProgress done =
      prepare_tokens(command.source, command.vocabulary, command.out,
                     [&](const PrepareProgress& progress) { bar.update(read_progress(progress)); });
  bar.hide();
  std::cout << with_thousands(done.documents) << " documents, " << with_thousands(done.bytes) << " bytes, "
            << with_thousands(done.tokens) << " tokens in " << command.out.string() << '\n';
  if (done.skipped > 0) {
    std::cout << "skipped " << with_thousands(done.skipped)
              << " compressed files; decompress them to include them\n";
  }
  return 0;
}

void add_prepare(CommandLine& line) {
  auto command = std::make_shared<PrepareCommand>();
  CLI::App* prepare = line.app().add_subcommand("prepare", "Tokenize text once, for unroll train --data");
  prepare->add_option("PATH", command->source, "Folder of text files, one per document; or one file")
      ->required()
      ->type_name("");
  prepare->add_option("--vocabulary", command->vocabulary, "SentencePiece vocabulary (tokenizer.model)")
      ->required()
      ->type_name("FILE");
  prepare->add_option("--out", command->out, "The file to make")->required()->type_name("FILE");
  line.on(prepare, [command] { return run_prepare(*command); });
}

}  // namespace

void add_train_commands(CommandLine& line) {
  add_prepare(line);
  add_train(line);
}

}  // namespace unroll
