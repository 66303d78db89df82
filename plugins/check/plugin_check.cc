#include "plugins/check/plugin_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include <dlfcn.h>

#include "plugins/check/checks.h"
#include "plugins/check/synthetic.h"

namespace unroll {
namespace check {
namespace {

bool in_python(const std::filesystem::path& file) {
  return file.extension() == ".py";
}

/// Loads the plugins of `file`: a library's in this process, those in Python in a worker.
class Loaded {
 public:
  Loaded(const std::filesystem::path& file, const std::string& python)
      : registry_({.workers = in_python(file),
                   .worker_program =
                       std::filesystem::read_symlink("/proc/self/exe").parent_path() / "unroll-plugin-worker",
                   .python = python}) {
    registry_.set_log([](int, std::string_view, std::string_view) {});
    std::vector<std::string> vocabulary;
    for (std::size_t id = 0; id < kVocabulary; ++id) vocabulary.push_back(" token" + std::to_string(id));
    registry_.set_vocabulary(vocabulary);
    registry_.load_library(file);
    // It stays loaded, so that a sanitizer's report can name its functions.
    if (!in_python(file)) ::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_NODELETE);
  }
  const PluginRegistry& registry() const { return registry_; }

 private:
  PluginRegistry registry_;
};

/// The names of its plugins; empty if it cannot be loaded.
std::vector<std::string> check_library(const std::filesystem::path& file, const CheckOptions& options,
                                       Report& report) {
  auto lines = isolated(options.timeout, Ending::kAtOnce, [&](const Say& say) {
    const Loaded loaded(file, options.python);
    for (const auto& info : loaded.registry().plugins()) say(Result::kOk, info.name);
  });
  std::vector<std::string> names;
  for (const auto& line : lines) {
    if (line.result == Result::kFailed) {
      report.line("library", line);
      return {};
    }
    names.push_back(line.text);
  }
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  report.line("library", {Result::kOk, "it is for plugin ABI " + std::to_string(UNROLL_ABI_VERSION) +
                                           " and holds: " + list});
  return names;
}

}  // namespace
}  // namespace check

bool check_plugin_library(const std::filesystem::path& file, const CheckOptions& options,
                          check::Report& report) {
  using namespace check;
  report.subject(file.filename().string());
  for (const auto& name : check_library(file, options, report)) {
    report.subject(name);
    for (const auto& one : all_checks()) {
      if (one.looks_inside && in_python(file)) continue;
      const auto lines = isolated(options.timeout, one.ending, [&](const Say& say) {
        const Loaded loaded(file, options.python);
        run_check(one, loaded.registry(), *loaded.registry().find(name), say);
      });
      for (const auto& line : lines) report.line(one.name, line);
      const bool failed = std::any_of(lines.begin(), lines.end(),
                                      [](const auto& line) { return line.result == Result::kFailed; });
      if (failed && one.alone) break;
    }
  }
  return report.verdict();
}

}  // namespace unroll
