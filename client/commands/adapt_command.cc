// adapt: a model learns from documents while it reads them.
#include <iostream>
#include <memory>

#include "base/stop_signals.h"
#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/progress.h"
#include "client/cli/result_writer.h"
#include "client/cli/text.h"
#include "client/commands/eval_figures.h"
#include "client/sources/source.h"
#include "client/views/view.h"
#include "training/adapt.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

struct AdaptCommand {
  AdaptOptions options;
  std::vector<std::string> files;
  fs::path model, out;
  std::string format = "text";
};

void write_result(const AdaptCommand& command, const std::string& file, const EvalResult& result,
                  ResultWriter& writer) {
  if (command.format == "ndjson") {
    nlohmann::ordered_json line = {{"file", file}};
    line.update(figures_of(result));
    writer.write(to_line(line));
  } else {
    writer.write(one_line(file) + ": " + describe(result));
  }
  writer.end_line();
  writer.flush();
}

void learn_from(const AdaptCommand& command, const std::string& file, Adapter& adapter,
                ResultWriter& writer) {
  const Source source = Source::open(file);
  Progress bar(source.name());
  const EvalResult result = adapter.read(file, [&](std::uint64_t bytes) {
    bar.update({bytes, source.total_bytes(), 0, 0});
    return stop_signal() == 0;
  });
  bar.hide();
  write_result(command, file, result, writer);
  if (stop_signal() == 0) return;
  std::cerr << "unroll: stopped after byte " << with_thousands(result.bytes) << " of "
            << one_line(source.name())
            << (command.out.empty() ? "" : "; " + command.out.string() + " contains what was learned so far")
            << '\n';
}

int adapt(const AdaptCommand& command) {
  const fs::path model = model_folder(command.model);
  std::error_code failed;
  if (fs::equivalent(model, command.out, failed)) {
    throw CommandError("a model cannot be adapted in place; name another folder than " + model.string() +
                       " with --out");
  }
  for (const auto& file : command.files) Source::open(file);  // report a wrong name before hours of reading
  Adapter adapter(model, command.options);
  stop_at_signals();
  ResultWriter writer({});
  for (const auto& file : command.files) {
    if (stop_signal() != 0) break;
    learn_from(command, file, adapter, writer);
  }
  if (!command.out.empty()) adapter.save(command.out);
  return 0;
}

}  // namespace

void add_adapt_command(CommandLine& line) {
  auto command = std::make_shared<AdaptCommand>();
  CLI::App* app =
      line.app().add_subcommand("adapt", "Adapt a model to your documents while reading them once");
  app->add_option("FILE", command->files, "The documents, in the order to learn from them")
      ->required()
      ->type_name("");
  app->add_option("--model", command->model, "Folder of the checkpoint to begin with")->type_name("MODEL");
  app->add_option("--out", command->out, "Folder for the adapted model; without it, only figures are printed")
      ->type_name("DIR");
  app->add_option("--learning-rate", command->options.learning_rate, "How far each block moves the weights")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str();
  app->add_option("--dtype", command->options.dtype, "Type of numbers in the matrix products")
      ->type_name("fp32|bf16")
      ->check(one_of({"fp32", "bf16"}))
      ->capture_default_str();
  app->add_option("--format", command->format, "Output format")
      ->type_name("text|ndjson")
      ->check(one_of({"text", "ndjson"}))
      ->capture_default_str();
  app->footer(
      "Prints for each document what 'unroll eval' would print if the model learned while it reads:\n"
      "each block of tokens is scored first, then learned from. Ctrl-C stops after the current block, and\n"
      "--out gets what was learned so far.");
  line.on(app, [command] { return adapt(*command); });
}

}  // namespace unroll
