// Building blocks of the checks: reads one synthetic document with one plugin, and compares
// outputs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/check/guarded_block.h"
#include "plugins/check/isolated.h"
#include "plugins/check/synthetic.h"
#include "plugins/host.h"
#include "plugins/library.h"

namespace unroll::check {

using Outputs = std::vector<std::string>;
using State = std::vector<std::byte>;

struct Document {
  std::string name;
  SyntheticDocument content;
};

/// One instance reading one document, from a given block on. Not movable: the instance emits into it.
class CheckedReading {
 public:
  CheckedReading(const PluginRegistry& registry, const std::string& plugin, const Document& document,
                 std::size_t first_block = 0)
      : registry_(registry), plugin_(plugin), document_(&document), next_(first_block) {
    replace_instance();
  }
  CheckedReading(const CheckedReading&) = delete;
  CheckedReading& operator=(const CheckedReading&) = delete;
  ~CheckedReading() { now_in("destroy", document_->name); }

  bool at_end() const { return next_ == content().block_count(); }
  /// The block stays unchanged while this object exists; use poison() to detect late reads.
  SyntheticBlock& process() {
    auto& block = kept_.emplace_back(content().block(next_));
    now_in("process", document_->name, next_++);
    instance_->process(block.view());
    return block;
  }
  /// The block's memory is read-only during the call and inaccessible afterwards.
  void process_guarded() {
    auto& block = guarded_.emplace_back(content().block(next_));
    now_in("process", document_->name, next_++);
    instance_->process(block.lend());
    block.take_back();
  }
  const Outputs& finish() {
    now_in("finish", document_->name);
    instance_->finish(content().whole().length(), content().text().size(), -0.5F);
    return outputs_;
  }
  const Outputs& read_to_end() {
    while (!at_end()) process();
    return finish();
  }
  State save() {
    now_in("save", document_->name);
    return instance_->save();
  }
  void load(State state) {
    now_in("load", document_->name);
    instance_->load(state);
    std::fill(state.begin(), state.end(), std::byte{0xA5});  // borrowed only
  }
  /// As after a restart of the process: a new instance continues from this one's state.
  void hand_over() {
    auto state = save();
    replace_instance();
    load(std::move(state));
  }

  /// The document ends with `head`, which begins the first token of the next one.
  void fork(std::string_view head, const Document& next) {
    now_in("fork", document_->name);
    const std::string borrowed(head);
    const auto bytes = content().text().size() + head.size();
    instance_->fork(
        {sizeof(unroll_fork_point), content().whole().length(), bytes, borrowed.data(), head.size()});
    document_ = &next;
    next_ = 0;
  }
  void fork_at_begin() {
    now_in("fork", document_->name);
    instance_->fork({sizeof(unroll_fork_point), 0, 0, nullptr, 0});
  }

  const Document& document() const { return *document_; }
  const SyntheticDocument& content() const { return document_->content; }
  const Outputs& outputs() const { return outputs_; }

 private:
  void replace_instance() {
    std::string options = "{}";
    now_in("create", document_->name);
    instance_ =
        registry_.create(plugin_, options, [this](std::string json) { outputs_.push_back(std::move(json)); });
    options = "??";  // borrowed only
  }

  const PluginRegistry& registry_;
  const std::string& plugin_;
  const Document* document_;
  std::size_t next_;
  std::deque<SyntheticBlock> kept_;
  std::deque<GuardedBlock> guarded_;
  Outputs outputs_;
  std::unique_ptr<PluginInstance> instance_;
};

/// How `found` differs from `expected` without its first `skipped` outputs; empty if it does not.
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
