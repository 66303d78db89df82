// Plugins that answer late, as those in processes of their own do: how late follows from the seed.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/host.h"
#include "tests/simulation/simulated_disk.h"

namespace unroll::simulation {

class LateInstance final : public PluginInstance {
 public:
  LateInstance(std::unique_ptr<PluginInstance> plugin, Random& random)
      : plugin_(std::move(plugin)), random_(random) {}
  const PluginInfo& info() const override { return plugin_->info(); }
  void begin_process(const unroll_block& block) override {
    expect_idle("process");
    plugin_->begin_process(block);
    be_late();
  }
  void begin_finish(std::uint64_t tokens, std::uint64_t bytes) override {
    expect_idle("finish");
    plugin_->begin_finish(tokens, bytes);
    be_late();
  }
  bool wait(std::chrono::milliseconds) override {
    if (looks_left_ > 0) --looks_left_;
    return looks_left_ == 0;
  }
  void end() override {
    is_called_ = false;
    plugin_->end();
  }
  std::vector<std::byte> save() override {
    expect_idle("save");
    return plugin_->save();
  }
  void load(std::span<const std::byte> state) override {
    expect_idle("load");
    plugin_->load(state);
  }

 private:
  void be_late() {
    is_called_ = true;
    looks_left_ = chance(random_, 0.2) ? pick(random_, 20) : 0;
  }
  void expect_idle(const char* function) const {
    if (is_called_)
      throw std::logic_error(std::string(function) + " between the begin of a call and its end");
  }

  std::unique_ptr<PluginInstance> plugin_;
  Random& random_;
  std::uint64_t looks_left_ = 0;
  bool is_called_ = false;
};

/// The same plugins as another registry's.
class LatePlugins final : public PluginRegistry {
 public:
  LatePlugins(std::shared_ptr<const PluginRegistry> plugins, Random& random)
      : plugins_(std::move(plugins)), random_(random) {
    for (const auto& info : plugins_->plugins()) load_library(info.library);
  }
  std::unique_ptr<PluginInstance> create(std::string_view name, std::string_view options,
                                         EmitFunction emit) const override {
    return std::make_unique<LateInstance>(plugins_->create(name, options, std::move(emit)), random_);
  }

 private:
  std::shared_ptr<const PluginRegistry> plugins_;
  Random& random_;
};

}  // namespace unroll::simulation
