#include "plugins/host.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/program_prefix.h"
#include "plugins/in_process.h"
#include "plugins/library.h"
#include "plugins/manifest.h"
#include "plugins/vocabulary.h"
#include "plugins/worker/worker_instance.h"

namespace unroll {
namespace {

/// A library, loaded in this process or in workers.
struct Home {
  std::shared_ptr<const PluginLibrary> library;
  std::shared_ptr<WorkerPool> workers;
};

struct Entry {
  PluginInfo info;
  Home home;
  const PluginLibrary::Plugin* plugin;  // home.library's; null with workers
};

void log_to_stderr(int level, std::string_view plugin, std::string_view text) {
  constexpr int kWarning = 2;
  if (level < kWarning) return;
  std::fprintf(stderr, "plugin %.*s: %.*s\n", static_cast<int>(plugin.size()), plugin.data(),
               static_cast<int>(text.size()), text.data());
}

/// Limits one instance's log, so that a plugin that logs each line it reads does not fill the disk.
PluginLogFunction limited(PluginLogFunction log) {
  if (!log) return log;
  constexpr int kMaxLines = 1000;
  const auto lines = std::make_shared<std::atomic<int>>(0);
  return [log = std::move(log), lines](int level, std::string_view plugin, std::string_view text) {
    const int line = ++*lines;
    if (line <= kMaxLines) log(level, plugin, text);
    if (line == kMaxLines)
      log(2, plugin, "it logs too much; its further lines for this document are dropped");
  };
}

}  // namespace

struct PluginRegistry::Impl {
  mutable std::shared_mutex mutex;
  std::map<std::string, Entry, std::less<>> entries;  // never erased, so that find()'s pointers stay valid
  PluginLogFunction log = log_to_stderr;
  PluginOptions options;
  std::shared_ptr<const PluginVocabulary> vocabulary;

  bool in_worker(const std::filesystem::path& file) const;
  Home open(const std::filesystem::path& file) const;
  void add(const Home& home);
};

PluginRegistry::PluginRegistry(PluginOptions options) : impl_(std::make_unique<Impl>()) {
  if (options.worker_program.empty()) {
    options.worker_program = program_prefix() / "libexec/unroll/unroll-plugin-worker";
  }
  impl_->options = std::move(options);
}
PluginRegistry::~PluginRegistry() = default;

void PluginRegistry::set_log(PluginLogFunction log) {
  const std::unique_lock lock(impl_->mutex);
  impl_->log = std::move(log);
}

void PluginRegistry::set_vocabulary(const std::vector<std::string>& tokens) {
  auto vocabulary = std::make_shared<const PluginVocabulary>(tokens);
  const std::unique_lock lock(impl_->mutex);
  for (const auto& [_, entry] : impl_->entries) {
    if (entry.home.workers) entry.home.workers->set_vocabulary(vocabulary);
  }
  impl_->vocabulary = std::move(vocabulary);
}

bool PluginRegistry::Impl::in_worker(const std::filesystem::path& file) const {
  const auto named = [&](const std::string& name) { return name == "*" || name == file.filename(); };
  return options.workers && (file.extension() == ".py" || std::ranges::none_of(options.in_process, named));
}

/// Starts workers without waiting, so that those of several libraries start in parallel.
Home PluginRegistry::Impl::open(const std::filesystem::path& given) const {
  const auto file = std::filesystem::absolute(given);
  if (!in_worker(file)) return {std::make_shared<const PluginLibrary>(file), nullptr};
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    throw PluginError(UNROLL_ERROR_INTERNAL, "plugin library " + file.string() +
                                                 ": there is no such file; give the path of a plugin");
  }
  const auto manifest = read_manifest(file, {0, options.memory_bytes, options.deadline});
  WorkerSpec spec;
  spec.library = file;
  spec.root = options.worker_program.parent_path() / ".." / "..";
  spec.root = spec.root.lexically_normal();
  spec.command = file.extension() == ".py"
                     ? std::vector<std::string>{options.python, "-m", "unroll_plugin", file.string()}
                     : std::vector<std::string>{options.worker_program.string(), file.string()};
  if (!options.hidden.empty()) {
    spec.hidden = std::filesystem::weakly_canonical(std::filesystem::absolute(options.hidden));
  }
  spec.permissions = manifest.permissions;
  spec.memory_bytes = manifest.memory_bytes;
  spec.deadline = manifest.deadline;
  spec.lost = options.lost;
  spec.counts = options.counts;
  return {nullptr, std::make_shared<WorkerPool>(std::move(spec))};
}

void PluginRegistry::Impl::add(const Home& home) {
  std::vector<Entry> found;
  if (home.workers) {
    for (auto& info : home.workers->greet()) found.push_back({std::move(info), home, nullptr});
  } else {
    for (const auto& plugin : home.library->plugins()) found.push_back({plugin.info, home, &plugin});
  }
  const std::unique_lock lock(mutex);
  for (const auto& entry : found) {
    const auto taken = entries.find(entry.info.name);
    if (taken != entries.end()) {
      throw PluginError(UNROLL_ERROR_INTERNAL, "plugin library " + entry.info.library.string() +
                                                   ": the name " + entry.info.name + " is taken by " +
                                                   taken->second.info.library.string() +
                                                   "; load only one of them");
    }
  }
  if (home.workers) home.workers->set_vocabulary(vocabulary);
  for (auto& entry : found) {
    const auto name = entry.info.name;
    entries.emplace(name, std::move(entry));
  }
}

void PluginRegistry::load_library(const std::filesystem::path& file) {
  impl_->add(impl_->open(file));
}

std::vector<std::string> PluginRegistry::load_directory(const std::filesystem::path& directory) {
  std::vector<std::string> errors;
  std::error_code error;
  if (!std::filesystem::exists(directory, error) && !error) return errors;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const auto extension = it->path().extension();
    if (extension == ".so" || (extension == ".py" && impl_->options.workers)) files.push_back(it->path());
  }
  if (error) errors.push_back("plugin folder " + directory.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  const auto attempt = [&errors](auto&& body) {
    try {
      body();
    } catch (const PluginError& e) {
      errors.emplace_back(e.what());
    }
  };
  std::vector<Home> homes;
  for (const auto& file : files) attempt([&] { homes.push_back(impl_->open(file)); });
  for (const auto& home : homes) attempt([&] { impl_->add(home); });
  return errors;
}

std::vector<PluginInfo> PluginRegistry::plugins() const {
  const std::shared_lock lock(impl_->mutex);
  std::vector<PluginInfo> infos;
  for (const auto& [name, entry] : impl_->entries) infos.push_back(entry.info);
  return infos;
}

const PluginInfo* PluginRegistry::find(std::string_view name) const {
  const std::shared_lock lock(impl_->mutex);
  const auto it = impl_->entries.find(name);
  return it == impl_->entries.end() ? nullptr : &it->second.info;
}

std::unique_ptr<PluginInstance> PluginRegistry::create(std::string_view name, std::string_view options,
                                                       EmitFunction emit) const {
  const Entry* entry = nullptr;
  PluginLogFunction log;
  std::shared_ptr<const PluginVocabulary> vocabulary;
  {
    const std::shared_lock lock(impl_->mutex);
    const auto it = impl_->entries.find(name);
    if (it == impl_->entries.end()) {
      std::string known;
      for (const auto& [other, _] : impl_->entries) known += (known.empty() ? "" : ", ") + other;
      throw PluginError(UNROLL_ERROR_OPTIONS, "plugin " + printable(name, 64) + ": no such plugin (loaded: " +
                                                  (known.empty() ? "none" : known) + ")");
    }
    entry = &it->second;
    log = limited(impl_->log);
    vocabulary = impl_->vocabulary;
  }
  if (options.empty()) options = "{}";
  const auto json = nlohmann::json::parse(options, nullptr, false);
  if (!json.is_object()) {
    throw PluginError(UNROLL_ERROR_OPTIONS,
                      "plugin " + entry->info.name + ": its options must be a JSON object");
  }
  // The only place that decides where an instance runs.
  if (entry->home.workers) {
    return create_in_worker(entry->home.workers, entry->info.name, options, std::move(emit), std::move(log));
  }
  return create_in_process(entry->home.library, *entry->plugin, options, std::move(emit), std::move(log),
                           std::move(vocabulary));
}

std::unique_ptr<PluginInstance> PluginRegistry::restore(std::string_view name, std::string_view options,
                                                        std::optional<std::span<const std::byte>> state,
                                                        EmitFunction emit) const {
  {
    const std::shared_lock lock(impl_->mutex);
    const auto it = impl_->entries.find(name);
    if (it != impl_->entries.end() && it->second.home.workers) {
      return restore_in_worker(it->second.home.workers, it->second.info.name, options, state, std::move(emit),
                               limited(impl_->log));
    }
  }
  auto instance = create(name, options, std::move(emit));
  if (state) instance->load(*state);
  return instance;
}

std::filesystem::path default_plugin_directory() {
  if (const char* path = std::getenv("UNROLL_PLUGIN_PATH"); path != nullptr && *path != '\0') return path;
  return program_prefix() / "lib/unroll/plugins";
}

}  // namespace unroll
