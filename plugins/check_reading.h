// What check.cc is made of: one plugin reading one synthetic document, and whether it said the same twice.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/host.h"
#include "plugins/library.h"
#include "plugins/synthetic.h"

namespace unroll::check {

using Outputs = std::vector<std::string>;
using State = std::vector<std::byte>;

/// One instance at work on one document, from a block on. Not moved: the instance emits into it.
class Reading {
 public:
  Reading(const PluginRegistry& registry, const std::string& plugin, const SyntheticDocument& document,
          std::size_t first_block = 0)
      : registry_(registry), plugin_(plugin), document_(document), next_(first_block) {
    replace_instance();
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  bool at_end() const { return next_ == document_.block_count(); }
  /// The block stays as it is until this ends, so that only poison() tells who reads it too late.
  SyntheticBlock& process() {
    auto& block = kept_.emplace_back(document_.block(next_));
    ++next_;
    instance_->process(block.view());
    return block;
  }
  const Outputs& finish() {
    instance_->finish(document_.whole().length(), document_.text().size());
    return outputs_;
  }
  const Outputs& read_to_end() {
    while (!at_end()) process();
    return finish();
  }
  State save() { return instance_->save(); }
  void load(State state) {
    instance_->load(state);
    std::fill(state.begin(), state.end(), std::byte{0xA5});  // borrowed only
  }
  /// As if the process had ended here: a new instance goes on from this one's state.
  void hand_over() {
    auto state = save();
    replace_instance();
    load(std::move(state));
  }

  const SyntheticDocument& document() const { return document_; }
  const Outputs& outputs() const { return outputs_; }

 private:
  void replace_instance() {
    std::string options = "{}";
    instance_ =
        registry_.create(plugin_, options, [this](std::string json) { outputs_.push_back(std::move(json)); });
    options = "??";  // borrowed only
  }

  const PluginRegistry& registry_;
  const std::string& plugin_;
  const SyntheticDocument& document_;
  std::size_t next_;
  std::deque<SyntheticBlock> kept_;
  Outputs outputs_;
  std::unique_ptr<PluginInstance> instance_;
};

/// Why `found` is not `expected`, whose first `skipped` are not looked at; empty where it is.
inline std::string difference(const Outputs& expected, const Outputs& found, std::size_t skipped = 0) {
  constexpr std::size_t kShown = 120;  // bytes of an output
  const std::size_t count = expected.size() - skipped;
  for (std::size_t i = 0; i < std::min(count, found.size()); ++i) {
    if (found[i] != expected[skipped + i]) {
      return "output " + std::to_string(skipped + i) + " is " + printable(found[i], kShown) + ", not " +
             printable(expected[skipped + i], kShown);
    }
  }
  if (found.size() == count) return {};
  return "there are " + std::to_string(found.size()) + " outputs, not " + std::to_string(count);
}

inline bool threw_an_exception(const PluginError& e) {
  return std::string_view(e.what()).find("an exception left") != std::string_view::npos;
}

}  // namespace unroll::check
