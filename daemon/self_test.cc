#include "daemon/self_test.h"

#include <future>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace unroll {
namespace {

constexpr std::string_view kLine =
    "2026-01-01 12:00:00 unroll: the quick brown fox jumps over the lazy dog.\n";

/// Records which plugins gave results and how the document ended. Called on the engine's thread.
class TestReader : public DocumentListener {
 public:
  void on_output(const DocumentId&, const Output& output) override { heard_.insert(output.plugin); }
  void on_progress(const DocumentStatus&) override {}
  void on_done(const DocumentStatus&) override { ended_.set_value(""); }
  void on_failed(const DocumentStatus& status) override { ended_.set_value(status.error); }

  /// Waits for the document's end. Returns why it failed; empty if it did not.
  std::string wait() { return ended_.get_future().get(); }
  /// After wait().
  bool heard(const std::string& plugin) const { return heard_.contains(plugin); }

 private:
  std::set<std::string> heard_;
  std::promise<std::string> ended_;
};

[[noreturn]] void fail(const std::string& why) {
  throw Error(ErrorCode::kPluginFailed, "the built-in test line could not be read: " + why);
}

}  // namespace

std::vector<std::string> load_plugin_folder(const std::filesystem::path& folder, PluginRegistry& plugins) {
  auto errors = plugins.load_directory(folder);
  for (const std::string_view name : kDefaultPlugins) {
    std::error_code unknown;
    const auto library = folder / ("unroll_" + std::string(name) + ".so");
    if (plugins.find(name) != nullptr || !std::filesystem::exists(library, unknown)) continue;
    std::string why;
    for (const std::string& error : errors) why += (why.empty() ? "" : "; ") + error;
    if (why.empty()) why = library.string() + " holds another plugin";
    throw Error(ErrorCode::kPluginFailed,
                "the default plugin '" + std::string(name) + "' cannot be loaded: " + why);
  }
  return errors;
}

void self_test(const Revision& revision) {
  DocumentRequest request;
  request.name = "the built-in test line";
  for (const std::string_view name : kDefaultPlugins) {
    if (revision.plugins->find(name) != nullptr) request.plugins.push_back({std::string(name)});
  }
  Engine engine(revision, {});  // also checks that model and vocabulary match
  if (request.plugins.empty()) return;
  const auto plugins = request.plugins;
  const auto reader = std::make_shared<TestReader>();
  const DocumentId id = engine.open(std::move(request), reader).id;
  engine.append(id, std::string(kLine), [] {});
  engine.end(id);
  if (const std::string why = reader->wait(); !why.empty()) fail(why);
  for (const auto& plugin : plugins) {
    if (!reader->heard(plugin.name)) fail("plugin " + plugin.name + " gave no result");
  }
}

}  // namespace unroll
