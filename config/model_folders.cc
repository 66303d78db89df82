#include "config/model_folders.h"

#include <cstdlib>
#include <map>

#include "base/program_prefix.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr const char* kGguf = ".gguf";

void add_models(const fs::path& folder, bool of_system, std::map<std::string, InstalledModel>& models) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const auto& path = entry.path();
    std::string name = path.filename();
    if (name.starts_with('.')) continue;
    if (!entry.is_directory(failed)) {
      if (path.extension() != kGguf) continue;
      name = path.stem();
    }
    models[name] = {name, path, of_system};
  }
}

}  // namespace

fs::path user_models_folder() {
  const auto within = [](const char* variable, const char* folder) {
    const char* value = std::getenv(variable);
    return value && *value ? fs::path(value) / folder : fs::path();
  };
  const auto data = within("XDG_DATA_HOME", "unroll/models");
  return data.empty() ? within("HOME", ".local/share/unroll/models") : data;
}

fs::path system_models_folder() {
  const fs::path prefix = program_prefix();
  const fs::path installed = prefix / "share/unroll/models", built = prefix.parent_path() / "models";
  std::error_code ignored;
  return !fs::exists(installed, ignored) && fs::exists(built, ignored) ? built : installed;
}

std::vector<InstalledModel> installed_models() {
  std::map<std::string, InstalledModel> models;
  add_models(system_models_folder(), true, models);
  if (const auto folder = user_models_folder(); !folder.empty()) add_models(folder, false, models);
  std::vector<InstalledModel> list;
  list.reserve(models.size());
  for (auto& [name, model] : models) list.push_back(std::move(model));
  return list;
}

fs::path model_path(const fs::path& name_or_path) {
  if (name_or_path.empty() || name_or_path.has_parent_path()) return name_or_path;
  for (const auto& model : installed_models()) {
    if (model.name == name_or_path) return model.path;
  }
  return name_or_path;
}

}  // namespace unroll
