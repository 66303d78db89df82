#include "tests/fuzz/daemon_peer.h"

namespace unroll::fuzz {

const std::shared_ptr<const Vocabulary>& vocabulary() {
  static const auto loaded =
      Vocabulary::load(std::filesystem::path(UNROLL_SOURCE_DIR) / "models/unroll-small/tokenizer.model");
  return loaded;
}

const std::shared_ptr<const PluginRegistry>& plugins() {
  static const std::shared_ptr<const PluginRegistry> loaded = [] {
    const auto registry = std::make_shared<PluginRegistry>();
    require(registry->load_directory(default_plugin_directory()).empty(), "the built-in plugins load");
    registry->set_log([](int, std::string_view, std::string_view) {});
    return registry;
  }();
  return loaded;
}

}  // namespace unroll::fuzz
