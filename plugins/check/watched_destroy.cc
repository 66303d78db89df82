#include "plugins/check/watched_destroy.h"

#include "plugins/check/isolated.h"
#include "plugins/check/synthetic.h"

namespace unroll::check {
namespace {

/// A host that accepts every call and records those that come during destroy.
struct WatchingHost {
  WatchingHost() {
    host.size = sizeof host;
    host.data = this;
    host.emit = [](const unroll_host* h, const char*, std::size_t) { return note(h, "emit"); };
    host.error = [](const unroll_host* h, const char*, std::size_t) { note(h, "error"); };
    host.log = [](const unroll_host*, std::int32_t, const char*, std::size_t) {};
    host.extension = [](const unroll_host*, const char*) -> const void* { return nullptr; };
    host.write = [](const unroll_host* h, const void*, std::size_t) { return note(h, "write"); };
  }
  static unroll_status note(const unroll_host* host, const char* function) {
    auto& self = *static_cast<WatchingHost*>(host->data);
    if (!self.destroying) return UNROLL_OK;
    self.used += (self.used.empty() ? "" : ", ") + std::string(function);
    return UNROLL_ERROR_INTERNAL;
  }

  unroll_host host{};
  bool destroying = false;
  std::string used;
};

}  // namespace

std::string used_while_destroyed(const PluginLibrary::Plugin& plugin) {
  const SyntheticDocument document(SyntheticKind::kProse, 1, plugin.info.top_k);
  auto block = document.block(0);
  const auto view = block.view();
  WatchingHost watching;
  void* instance = nullptr;
  now_in("create");
  if (plugin.table.create(&watching.host, "{}", 2, &instance) != UNROLL_OK)
    return {};  // another check reports this
  now_in("process", "prose");
  plugin.table.process(instance, &view);
  now_in("destroy", "prose");
  watching.destroying = true;
  plugin.table.destroy(instance);
  return watching.used;
}

}  // namespace unroll::check
