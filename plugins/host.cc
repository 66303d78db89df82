#include "plugins/host.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include "plugins/in_process.h"
#include "plugins/library.h"

namespace unroll {
namespace {

struct Entry {
  std::shared_ptr<const PluginLibrary> library;
  const PluginLibrary::Plugin* plugin;  // library's
};

void log_to_stderr(int level, std::string_view plugin, std::string_view text) {
  constexpr int kWarning = 2;
  if (level < kWarning) return;
  std::fprintf(stderr, "plugin %.*s: %.*s\n", static_cast<int>(plugin.size()), plugin.data(),
               static_cast<int>(text.size()), text.data());
}

}  // namespace

struct PluginRegistry::Impl {
  mutable std::shared_mutex mutex;
  std::map<std::string, Entry, std::less<>> entries;  // only ever added to, so that find()'s pointers stay
  PluginLogFunction log = log_to_stderr;
};

PluginRegistry::PluginRegistry() : impl_(std::make_unique<Impl>()) {}
PluginRegistry::~PluginRegistry() = default;

void PluginRegistry::set_log(PluginLogFunction log) {
  const std::unique_lock lock(impl_->mutex);
  impl_->log = std::move(log);
}

void PluginRegistry::load_library(const std::filesystem::path& file) {
  const auto library = std::make_shared<const PluginLibrary>(file);
  const std::unique_lock lock(impl_->mutex);
  for (const auto& plugin : library->plugins()) {
    const auto taken = impl_->entries.find(plugin.info.name);
    if (taken != impl_->entries.end()) {
      throw PluginError(UNROLL_ERROR_INTERNAL, "plugin library " + plugin.info.library.string() +
                                                   ": the name " + plugin.info.name + " is taken by " +
                                                   taken->second.plugin->info.library.string() +
                                                   "; load only one of them");
    }
  }
  for (const auto& plugin : library->plugins()) impl_->entries[plugin.info.name] = {library, &plugin};
}

std::vector<std::string> PluginRegistry::load_directory(const std::filesystem::path& directory) {
  std::vector<std::string> errors;
  std::error_code error;
  if (!std::filesystem::exists(directory, error) && !error) return errors;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".so") files.push_back(it->path());
  }
  if (error) errors.push_back("plugin folder " + directory.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    try {
      load_library(file);
    } catch (const PluginError& e) {
      errors.emplace_back(e.what());
    }
  }
  return errors;
}

std::vector<PluginInfo> PluginRegistry::plugins() const {
  const std::shared_lock lock(impl_->mutex);
  std::vector<PluginInfo> infos;
  for (const auto& [name, entry] : impl_->entries) infos.push_back(entry.plugin->info);
  return infos;
}

const PluginInfo* PluginRegistry::find(std::string_view name) const {
  const std::shared_lock lock(impl_->mutex);
  const auto it = impl_->entries.find(name);
  return it == impl_->entries.end() ? nullptr : &it->second.plugin->info;
}

std::unique_ptr<PluginInstance> PluginRegistry::create(std::string_view name, std::string_view options,
                                                       EmitFunction emit) const {
  Entry entry;
  PluginLogFunction log;
  {
    const std::shared_lock lock(impl_->mutex);
    const auto it = impl_->entries.find(name);
    if (it == impl_->entries.end()) {
      std::string known;
      for (const auto& [other, _] : impl_->entries) known += (known.empty() ? "" : ", ") + other;
      throw PluginError(UNROLL_ERROR_OPTIONS, "plugin " + printable(name, 64) +
                                                  ": there is none of that name (loaded: " +
                                                  (known.empty() ? "none" : known) + ")");
    }
    entry = it->second;
    log = impl_->log;
  }
  if (options.empty()) options = "{}";
  const auto json = nlohmann::json::parse(options, nullptr, false);
  if (!json.is_object()) {
    throw PluginError(UNROLL_ERROR_OPTIONS,
                      "plugin " + entry.plugin->info.name + ": its options must be a JSON object");
  }
  // The one place that decides where an instance runs.
  return create_in_process(entry.library, *entry.plugin, options, std::move(emit), std::move(log));
}

std::filesystem::path default_plugin_directory() {
  if (const char* path = std::getenv("UNROLL_PLUGIN_PATH"); path != nullptr && *path != '\0') return path;
  // <prefix>/bin/unrolld and <prefix>/lib/unroll/plugins: the build tree is laid out like an installed one.
  const auto binary = std::filesystem::read_symlink("/proc/self/exe");
  return (binary.parent_path() / ".." / "lib" / "unroll" / "plugins").lexically_normal();
}

}  // namespace unroll
