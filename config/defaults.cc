#include <cstdlib>

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

void resolve_defaults(Config& config) {
  if (config.socket_path.empty()) config.socket_path = default_socket_path();
  config.model_directory =
      config.model_directory.empty() ? default_model_directory() : model_path(config.model_directory);
  if (config.journal_path.empty()) config.journal_path = default_journal_path();
}

}  // namespace unroll
