#include "client/cli/options.h"

#include "base/error.h"
#include "base/gguf_file.h"
#include "client/cli/command_error.h"
#include "client/models/known_models.h"
#include "config/config.h"
#include "config/model_folders.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

std::string names_of_models() {
  std::string names;
  for (const auto& model : installed_models()) names += (names.empty() ? "" : ", ") + model.name;
  return names.empty() ? "no model is installed" : "installed are: " + names;
}

void check_model(const fs::path& model) {
  std::error_code failed;
  if (!fs::exists(model, failed)) {
    throw CommandError(
        "there is no model at " + model.string() + "; " + names_of_models() +
        "; name one of them or a path with --model or UNROLL_MODEL, or fetch one: 'unroll model "
        "fetch' knows " +
        known_model_names());
  }
  if (fs::is_regular_file(model, failed)) GgufFile{model};  // says what is wrong with one that is none
  if (fs::is_directory(model, failed) && !fs::exists(model / "config.json", failed) && !find_gguf(model)) {
    throw CommandError(
        "there is no model in " + model.string() +
        ": neither config.json nor a GGUF file; name a checkpoint's folder or a GGUF file with "
        "--model, or fetch it again");
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
  fs::path model = given.empty() ? default_model_directory() : model_path(given);
  check_model(model);
  return model;
}

ModelOptions model_options(const SharedOptions& options) {
  ModelOptions result;
  if (!options.device.empty()) result.device = options.device;
  if (!options.dtype.empty()) result.dtype = options.dtype;
  for (const auto& setting : options.settings) add_setting(setting, result.settings);
  result.speeds_file = speeds_file();
  return result;
}

}  // namespace unroll
