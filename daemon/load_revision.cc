#include "daemon/load_revision.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <sstream>

#include <linux/landlock.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/hidden_home.h"
#include "daemon/self_test.h"

namespace unroll {
namespace {

/// Its vocabulary and its model. Throws Error(kModel) that names the folder and says how to choose another.
void load_checkpoint(const Config& config, const ModelEntry& model, Revision& revision) {
  const std::string advice = config.models.size() > 1
                                 ? "; correct 'models' in the configuration"
                                 : "; choose one with --model NAME, --model PATH or UNROLL_MODEL";
  std::error_code ignored;
  if (!std::filesystem::exists(model.path, ignored)) {
    throw Error(ErrorCode::kModel,
                "there is no model in '" + model.path + "'" + hidden_home_advice(model.path) + advice);
  }
  try {
    revision.vocabulary = Vocabulary::load(model.path);
    revision.model = load_block_model(model.path, {.device = config.device,
                                                   .dtype = model.dtype,
                                                   .threads = static_cast<int>(config.threads),
                                                   .settings = parse_settings(model.settings),
                                                   .first_input = revision.vocabulary->first_input(),
                                                   .speeds_file = arithmetic_file(config.journal_path)});
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModel,
                "the model in '" + model.path + "' cannot be loaded: " + error.what() + advice);
  }
}

/// Of a folder's files, or of the one file.
std::uint64_t file_bytes(const std::filesystem::path& model) {
  std::error_code failed;
  if (const auto size = std::filesystem::file_size(model, failed); !failed) return size;
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(model, failed)) {
    if (entry.is_regular_file(failed)) bytes += entry.file_size(failed);
  }
  return bytes;
}

/// Warns if there is no Landlock: workers can then read the journal and the daemon's memory.
void check_sandbox(Events& events) {
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1) return;
  events.sandbox_weaker("no_landlock",
                        "this kernel has no Landlock, or the service may not use it: plugin workers can read "
                        "every file that the daemon's user can read, including the journal");
}

std::shared_ptr<const PluginRegistry> load_plugins(const Config& config, const Vocabulary& vocabulary,
                                                   Events& events) {
  check_sandbox(events);
  PluginOptions options;
  options.workers = true;
  std::istringstream trusted(config.plugins_in_process);
  for (std::string name; std::getline(trusted >> std::ws, name, ',');) options.in_process.push_back(name);
  options.python = config.python;
  if (config.journal_path != ":memory:") options.hidden = config.journal_path;
  options.memory_bytes = static_cast<std::uint64_t>(config.plugin_memory_bytes);
  options.deadline = std::chrono::milliseconds(config.plugin_deadline_ms);
  options.lost = [&events](std::string_view plugin, std::string_view reason, std::string_view text) {
    events.worker_lost(plugin, reason, text);
  };
  options.counts = events.workers;
  auto registry = std::make_shared<PluginRegistry>(std::move(options));
  registry->set_log([](int level, std::string_view plugin, std::string_view text) {
    constexpr std::array kLevels = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                    spdlog::level::err};
    spdlog::log(kLevels[static_cast<std::size_t>(std::clamp(level, 0, 3))], "plugin {}: {}", plugin, text);
  });
  registry->set_vocabulary(vocabulary.tokens());
  const std::filesystem::path folder = config.plugin_directory.empty()
                                           ? default_plugin_directory()
                                           : std::filesystem::path(config.plugin_directory);
  for (const std::string& error : load_plugin_folder(folder, *registry))
    spdlog::warn("plugin left out: {}", error);
  if (registry->plugins().empty())
    spdlog::warn("no plugins in '{}'{}; choose a folder with --plugins", folder.string(),
                 hidden_home_advice(folder));
  return registry;
}

}  // namespace

std::vector<ModelSource> model_sources(const Config& config, Events& events) {
  const auto shared = std::make_shared<const Config>(config);
  std::vector<ModelSource> sources;
  for (const ModelEntry& model : shared->models) {
    ModelSource source{model.name};
    source.file_bytes = file_bytes(model.path);
    source.load = [shared, &model, &events] {
      const auto began = std::chrono::steady_clock::now();
      Revision revision;
      revision.name = model.name;
      load_checkpoint(*shared, model, revision);
      revision.plugins = load_plugins(*shared, *revision.vocabulary, events);
      self_test(revision);
      revision.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      return revision;
    };
    try {
      const auto summary = summarize_checkpoint(model.path, parse_settings(model.settings));
      source.family = summary.family;
      source.parameters = summary.parameters;
    } catch (const std::exception& error) {
      spdlog::warn("model {} in '{}' cannot be read: {}", model.name, model.path, error.what());
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace unroll
