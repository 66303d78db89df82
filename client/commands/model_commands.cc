// model info|convert, logits.
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/views/view.h"
#include "model/checkpoint.h"
#include "model/logits.h"
#include "model/pretrained/checkpoint.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct ModelCommandOptions {
  SharedOptions shared;
  fs::path tokens, from, to;
  std::string dtype = "bf16";
};

/// What the checkpoint's files say.
struct Stored {
  std::set<std::string> types;  ///< Of numbers.
  ordered_json config;
};

Stored stored_in(const fs::path& path, const ModelSettings& settings) {
  if (is_pretrained(path)) {
    const PretrainedCheckpoint checkpoint(path, settings);
    return {{checkpoint.stored_type()}, to_json(checkpoint.config())};
  }
  Stored stored;
  auto config = load_model_config(path / "config.json");
  apply_settings(config, settings);
  stored.config = to_json(config);
  for (const auto& [name, tensor] : read_safetensors(path / "model.safetensors"))
    stored.types.insert(c10::toString(tensor.scalar_type()));
  return stored;
}

int show_model(const ModelCommandOptions& options) {
  const fs::path folder = model_folder(options.shared.model);
  const ModelOptions how = model_options(options.shared);
  // Loaded as for reading: what this prints can be read with.
  const std::unique_ptr<BlockModel> model = load_block_model(folder, how);
  const Stored stored = stored_in(folder, how.settings);
  const auto vocabulary = Vocabulary::load(folder);
  const ModelInfo& info = model->info();
  const ordered_json description = {{"folder", folder.string()},
                                    {"name", info.name},
                                    {"parameters", info.parameters},
                                    {"num_tokens", info.num_tokens},
                                    {"vocabulary", vocabulary->size()},
                                    {"dim", info.dim},
                                    {"depth", info.depth},
                                    {"block_width", info.block_width},
                                    {"state_bytes", info.state_bytes},
                                    {"stored", stored.types},
                                    {"device", info.device},
                                    {"dtype", info.dtype},
                                    {"form", info.form},
                                    {"form_problem", info.form_problem},
                                    {"config", stored.config}};
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(to_line(description) + "\n");
  } else {
    for (const auto& [key, value] : description.items()) {
      if (key == "config" || value == "") continue;
      const std::string text = value.is_string()            ? value.get<std::string>()
                               : value.is_number_unsigned() ? with_thousands(value.get<std::uint64_t>())
                               : value.is_number_integer()
                                   ? with_thousands(static_cast<std::uint64_t>(value.get<std::int64_t>()))
                                   : to_line(value);
      writer.write(left(key, 14) + text + "\n");
    }
  }
  writer.flush();
  return 0;
}

int convert_model(const ModelCommandOptions& options) {
  std::error_code failed;
  if (fs::equivalent(options.from, options.to, failed)) {
    throw CommandError("a model cannot be converted in place; name another folder than " +
                       options.from.string());
  }
  const fs::path from = model_folder(options.from);
  if (is_pretrained(from))
    throw CommandError(from.string() +
                       ": a pretrained checkpoint is read as it is; only unroll's own models are "
                       "converted: choose the numbers to compute with by --dtype");
  const ModelConfig config = load_model_config(from / "config.json");
  save_checkpoint(options.to, config, load_parameters(from, config), options.dtype);
  for (const char* file : {"tokenizer.model", "README.md"}) {
    if (fs::exists(from / file))
      fs::copy_file(from / file, options.to / file, fs::copy_options::overwrite_existing);
  }
  return 0;
}

int run_logits(const ModelCommandOptions& options) {
  // Logits are for comparisons, so they are exact where nothing else is asked for.
  auto model = model_options(options.shared);
  if (options.shared.dtype.empty()) model.dtype = "fp32";
  write_logits(model_folder(options.shared.model), options.tokens, options.shared.out, model);
  return 0;
}

// --- the tree

void add_model(CommandLine& line) {
  CLI::App* model = line.app().add_subcommand("model", "List, fetch, show and convert models");
  model->require_subcommand(1);
  add_installed_model_commands(line, *model);
  auto options = std::make_shared<ModelCommandOptions>();
  CLI::App* command =
      model->add_subcommand("info", "Show the parameters, dimensions and number types of a model");
  add_format_flags(*command, options->shared, "text|json");
  add_model_flags(*command, options->shared);
  command->add_option("NAME", options->shared.model, "The same as --model")
      ->type_name("")
      ->excludes(command->get_option("--model"));
  line.on(command, [options] { return show_model(*options); });

  options = std::make_shared<ModelCommandOptions>();
  command = model->add_subcommand("convert", "Convert a checkpoint to another type of numbers");
  command->add_option("FROM", options->from, "Folder of the checkpoint")->required()->type_name("");
  command->add_option("TO", options->to, "Folder to write")->required()->type_name("");
  command->add_option("--dtype", options->dtype, "Type of numbers to store")
      ->type_name("fp32|bf16|int8")
      ->check(one_of({"fp32", "bf16", "int8"}))
      ->capture_default_str();
  line.on(command, [options] { return convert_model(*options); });
}

void add_logits(CommandLine& line) {
  auto options = std::make_shared<ModelCommandOptions>();
  CLI::App* command =
      line.app().add_subcommand("logits", "Compute a model's logits, memories and states for given tokens");
  command
      ->add_option("--model", options->shared.model, "Model: an installed one's name, a folder, a GGUF file")
      ->type_name("MODEL");
  add_settings_flag(*command, options->shared);
  command->add_option("--tokens", options->tokens, "safetensors with tokens: int64 [batch, length]")
      ->required()
      ->type_name("FILE");
  command->add_option("--out", options->shared.out, "safetensors to write: logits, memories.I, states.I")
      ->required()
      ->type_name("FILE");
  command->add_option("--dtype", options->shared.dtype, "Type of numbers to compute with; fp32 by default")
      ->type_name("auto|fp32|bf16|int8")
      ->check(one_of({"auto", "fp32", "bf16", "int8"}));
  line.on(command, [options] { return run_logits(*options); });
}

}  // namespace

void add_model_commands(CommandLine& line) {
  add_model(line);
  add_logits(line);
}

}  // namespace unroll
