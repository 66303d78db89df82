// Models by name: a user's own, and those that are installed for all.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace unroll {

struct InstalledModel {
  std::string name;
  std::filesystem::path path;  ///< A folder, or a GGUF file.
  bool of_system = false;      ///< Installed for all users, by a package.
};

/// $XDG_DATA_HOME/unroll/models, else ~/.local/share/unroll/models; empty if there is neither variable.
std::filesystem::path user_models_folder();
/// share/unroll/models beside the binary's folder (installed), else models of the clone that the build folder
/// lies in; the first that exists, or the installed one if neither does.
std::filesystem::path system_models_folder();

/// Sorted by name. A user's model hides the system's of the same name.
std::vector<InstalledModel> installed_models();

/// What --model stands for: the installed model of that name, else the path as it is.
std::filesystem::path model_path(const std::filesystem::path& name_or_path);

}  // namespace unroll
