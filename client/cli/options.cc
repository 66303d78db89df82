#include "client/cli/options.h"

#include "base/error.h"
#include "client/cli/command_error.h"
#include "config/config.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

void check_model(const fs::path& folder) {
  std::error_code failed;
  if (!fs::exists(folder, failed)) {
    throw CommandError("there is no model at " + folder.string() +
                       "; name a checkpoint's folder with --model, "
                       "or set UNROLL_MODEL");
  }
  if (!fs::is_directory(folder, failed)) {
    throw CommandError(folder.string() +
                       " is not a folder; a model is a folder with config.json, model.safetensors and "
                       "tokenizer.model: name one with --model");
  }
  if (!fs::exists(folder / "config.json", failed)) {
    throw CommandError("the model in " + folder.string() +
                       " has no config.json; a checkpoint's folder holds config.json, model.safetensors and "
                       "tokenizer.model: name one with --model, or fetch it again");
  }
}

/// The same file as that of the user's own daemon.
fs::path speeds_file() {
  try {
    return arithmetic_file(default_journal_path());
  } catch (const Error&) {
    return {};  // no state folder: each command measures again
  }
}

}  // namespace

fs::path model_folder(const fs::path& given) {
  fs::path folder = given.empty() ? default_model_directory() : given;
  check_model(folder);
  return folder;
}

ModelOptions model_options(const SharedOptions& options) {
  ModelOptions result;
  if (!options.device.empty()) result.device = options.device;
  if (!options.dtype.empty()) result.dtype = options.dtype;
  result.speeds_file = speeds_file();
  return result;
}

}  // namespace unroll
