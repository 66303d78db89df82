// Plugins that answer late, like those in worker processes, and fail in any of their functions, as the seed
// determines.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/host.h"
#include "tests/simulation/edges.h"

namespace unroll::simulation {

inline void cross_plugin(Edges& edges, const char* function) {
  edges.cross(function, [](const std::string& text) { return PluginError(UNROLL_ERROR_INTERNAL, text); });
}

class FaultyInstance final : public PluginInstance {
 public:
  FaultyInstance(std::unique_ptr<PluginInstance> plugin, Edges& edges)
      : plugin_(std::move(plugin)), edges_(edges) {}
  const PluginInfo& info() const override { return plugin_->info(); }
  void begin_process(const unroll_block& block) override {
    expect_idle("process");
    cross_plugin(edges_, "process");
    plugin_->begin_process(block);
    be_late();
  }
  void begin_finish(const unroll_document_end& end) override {
    expect_idle("finish");
    cross_plugin(edges_, "finish");
    plugin_->begin_finish(end);
    be_late();
  }
  bool wait(std::chrono::milliseconds) override {
    if (looks_left_ > 0) --looks_left_;
    return looks_left_ == 0;
  }
  void end() override {
    is_called_ = false;
    plugin_->end();
    cross_plugin(edges_, "end");
  }
  std::vector<std::byte> save() override {
    expect_idle("save");
    cross_plugin(edges_, "save");
    return plugin_->save();
  }
  void load(std::span<const std::byte> state) override {
    expect_idle("load");
    cross_plugin(edges_, "load");
    plugin_->load(state);
  }
  void fork(const unroll_fork_point& point) override {
    expect_idle("fork");
    cross_plugin(edges_, "fork");
    plugin_->fork(point);
  }

 private:
  void be_late() {
    is_called_ = true;
    looks_left_ = chance(edges_.random, 0.2) ? pick(edges_.random, 20) : 0;
  }
  void expect_idle(const char* function) const {
    if (is_called_)
      throw std::logic_error(std::string(function) + " between the begin of a call and its end");
  }

  std::unique_ptr<PluginInstance> plugin_;
  Edges& edges_;
  std::uint64_t looks_left_ = 0;
  bool is_called_ = false;
};

/// The same plugins as those of another registry.
class FaultyPlugins final : public PluginRegistry {
 public:
  FaultyPlugins(std::shared_ptr<const PluginRegistry> plugins, Edges& edges)
      : plugins_(std::move(plugins)), edges_(edges) {
    for (const auto& info : plugins_->plugins()) load_library(info.library);
  }
  std::unique_ptr<PluginInstance> create(std::string_view name, std::string_view options,
                                         EmitFunction emit) const override {
    cross_plugin(edges_, "create");
    return std::make_unique<FaultyInstance>(plugins_->create(name, options, std::move(emit)), edges_);
  }

 private:
  std::shared_ptr<const PluginRegistry> plugins_;
  Edges& edges_;
};

}  // namespace unroll::simulation
