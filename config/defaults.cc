#include <algorithm>
#include <cstdlib>
#include <set>

#include <unistd.h>

#include "base/error.h"
#include "config/config.h"
#include "config/model_folders.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

/// An environment variable, empty if it is not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

fs::path default_model_directory() {
  if (const std::string chosen = environment("UNROLL_MODEL"); !chosen.empty()) return model_path(chosen);
  return system_models_folder() / "unroll-small";
}

fs::path default_journal_path() {
  constexpr const char* kFile = "unroll.journal";
  // systemd gives a list if several are configured; the first is ours.
  if (const std::string list = environment("STATE_DIRECTORY"); !list.empty()) {
    return fs::path(list.substr(0, list.find(':'))) / kFile;
  }
  if (const std::string state = environment("XDG_STATE_HOME"); !state.empty())
    return fs::path(state) / "unroll" / kFile;
  if (const std::string home = environment("HOME"); !home.empty()) {
    return fs::path(home) / ".local" / "state" / "unroll" / kFile;
  }
  throw Error(ErrorCode::kInvalidParams,
              "no folder for the journal: neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set; "
              "name the file with --journal");
}

fs::path arithmetic_file(const fs::path& journal) {
  return journal == ":memory:" ? fs::path() : fs::path(journal.string() + ".arithmetic");
}

fs::path default_socket_path() {
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  if (::geteuid() == 0 || runtime.empty()) return kSystemSocketPath;
  return fs::path(runtime) / "unroll" / "unroll.sock";
}

namespace {

/// What a model is called that is given no name.
std::string name_of(const fs::path& model) {
  const auto path = fs::absolute(model / "").lexically_normal().parent_path();
  return path.extension() == ".gguf" ? path.stem() : path.filename();
}

void complete_models(Config& config) {
  constexpr std::size_t kLongestName = 255;
  auto& models = config.models;
  for (ModelEntry& model : models) {
    if (model.name.empty()) model.name = name_of(model.path);
  }
  const auto& chosen = config.model_directory;
  const auto listed = std::ranges::find(models, chosen, &ModelEntry::name);
  if (!chosen.empty() && listed != models.end()) {
    std::rotate(models.begin(), listed, listed + 1);
  } else if (!chosen.empty() || models.empty()) {
    const fs::path path = chosen.empty() ? default_model_directory() : fs::path(chosen);
    models.insert(models.begin(), {name_of(path), path, "", ""});
  }
  std::set<std::string> names;
  for (ModelEntry& model : models) {
    const bool has_name =
        !model.name.empty() && model.name.size() <= kLongestName && model.name.find('/') == std::string::npos;
    if (!has_name || !names.insert(model.name).second) {
      throw Error(ErrorCode::kInvalidParams,
                  "configuration key 'models': '" + model.name +
                      (has_name ? "' is there twice; give one of them another name"
                                : "' is not a name of 1 to 255 bytes without '/'"));
    }
    model.path = model_path(model.path);
    if (model.settings.empty()) model.settings = config.model_settings;
    if (model.dtype.empty()) model.dtype = config.dtype;
  }
}

}  // namespace

void resolve_defaults(Config& config) {
  if (config.socket_path.empty()) config.socket_path = default_socket_path();
  complete_models(config);
  if (config.journal_path.empty()) config.journal_path = default_journal_path();
}

}  // namespace unroll
