#include "plugins/check.h"

#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "plugins/check_reading.h"
#include "plugins/check_report.h"

namespace unroll {
namespace check {
namespace {

constexpr std::uint64_t kSeed = 20240501;

class PluginCheck {
 public:
  PluginCheck(const PluginRegistry& registry, PluginInfo info, Report& report)
      : registry_(registry), info_(std::move(info)), report_(report) {
    for (const auto kind : kSyntheticKinds) {
      // One alternative more than is wanted: the plugin must get its own number of them.
      documents_.push_back({std::string(name_of(kind)), SyntheticDocument(kind, kSeed, info_.top_k + 1)});
    }
  }

  void run() {
    using Check = PluginCheck;
    report_.subject(info_.name);
    if (!attempt("create", &Check::creates)) return;
    attempt("unknown option", &Check::refuses_options);
    if (!attempt("outputs", &Check::reads)) return;  // the rest compares with these
    attempt("repeat", &Check::repeats);
    attempt("memory", &Check::borrows);
    if (attempt("save", &Check::saves)) {
      attempt("load", &Check::loads);
      attempt("relay", &Check::relays);
      attempt("damaged states", &Check::survives_damage);
    }
    attempt("side by side", &Check::interleaves);
    attempt("threads", &Check::reads_on_threads);
    attempt("destroy", &Check::destroys_early);
  }

 private:
  struct Document {
    std::string name;
    SyntheticDocument content;
  };
  struct Point {  // before a block, or before finish
    State state;
    std::size_t outputs;
  };
  /// Why a check failed.
  struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  /// `check` returns what is well, or throws.
  bool attempt(const std::string& name, std::string (PluginCheck::*check)()) {
    try {
      report_.ok(name, (this->*check)());
      return true;
    } catch (const std::exception& e) {
      report_.failed(name, e.what());
      return false;
    }
  }

  void compare(std::size_t document, const Outputs& found, const std::string& how,
               std::size_t skipped = 0) const {
    const auto why = difference(expected_[document], found, skipped);
    if (!why.empty()) throw Failure("document \"" + documents_[document].name + "\", " + how + ": " + why);
  }
  /// Each document once more, by `read`.
  void compare_each(const std::string& how, const std::function<void(Reading&)>& read) const {
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      Reading reading(registry_, info_.name, documents_[d].content);
      read(reading);
      compare(d, reading.outputs(), how);
    }
  }
  std::unique_ptr<PluginInstance> instance(std::string_view options = "{}") const {
    return registry_.create(info_.name, options, [](const std::string&) {});
  }

  std::string creates() {
    instance();
    return "it takes the options {} and can be destroyed at once";
  }

  std::string refuses_options() {
    try {
      instance(R"({"no-such-option":1})");
    } catch (const PluginError& e) {
      if (threw_an_exception(e)) throw;
      if (e.status == UNROLL_ERROR_OPTIONS) return std::string("it is refused: ") + e.what();
      report_.note("unknown option", "it is refused by another status than UNROLL_ERROR_OPTIONS");
      return "it is refused";
    }
    report_.note("unknown option", "it is taken: whoever misspells one will not notice");
    return "it does no harm";
  }

  std::string reads() {
    std::size_t blocks = 0, outputs = 0;
    for (const auto& document : documents_) {
      Reading reading(registry_, info_.name, document.content);
      try {
        expected_.push_back(reading.read_to_end());
      } catch (const PluginError& e) {
        throw Failure("document \"" + document.name + "\": " + e.what());
      }
      blocks += document.content.block_count();
      outputs += expected_.back().size();
    }
    if (outputs == 0) report_.note("outputs", "it emits nothing for any document");
    return std::to_string(outputs) + ", all of them JSON, from " + std::to_string(documents_.size()) +
           " documents in " + std::to_string(blocks) + " blocks";
  }

  std::string repeats() {
    compare_each("read again", [](Reading& reading) { reading.read_to_end(); });
    return "the same documents give the same bytes";
  }

  std::string borrows() {
    compare_each("its blocks overwritten after each call", [](Reading& reading) {
      while (!reading.at_end()) {
        auto& block = reading.process();
        if (!block.same_data(reading.document().block(block.index))) {
          throw Failure("it wrote into a block; other plugins are given the same one");
        }
        block.poison();
      }
      reading.finish();
    });
    return "it reads blocks only while it is called, and writes into none";
  }

  std::string saves() {
    std::size_t largest = 0;
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      Reading reading(registry_, info_.name, documents_[d].content);
      auto& points = points_.emplace_back();
      points.push_back({reading.save(), 0});
      while (!reading.at_end()) {
        reading.process();
        points.push_back({reading.save(), reading.outputs().size()});
        largest = std::max(largest, points.back().state.size());
      }
      compare(d, reading.finish(), "saved after each block");
    }
    return "saving after each block changes no output; states have up to " + std::to_string(largest) +
           " bytes";
  }

  std::string loads() {
    std::size_t count = 0;
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      for (std::size_t block = 0; block < points_[d].size(); ++block, ++count) {
        const auto& point = points_[d][block];
        Reading reading(registry_, info_.name, documents_[d].content, block);
        reading.load(point.state);
        compare(d, reading.read_to_end(), "stopped before block " + std::to_string(block) + " and resumed",
                point.outputs);
      }
    }
    return "stopped at any of " + std::to_string(count) +
           " block boundaries and resumed, it gives the same bytes";
  }

  std::string relays() {
    compare_each("resumed before every block", [](Reading& reading) {
      while (!reading.at_end()) {
        reading.hand_over();
        reading.process();
      }
      reading.hand_over();
      reading.finish();
    });
    return "resumed before every block, it gives the same bytes";
  }

  /// Loads the state and reads on. Whether it was taken; an error is an answer like another.
  bool takes(const State& state, std::size_t document, std::size_t block) const {
    Reading reading(registry_, info_.name, documents_[document].content, block);
    bool taken = false;
    try {
      reading.load(state);
      taken = true;
      reading.read_to_end();
    } catch (const PluginError& e) {
      if (threw_an_exception(e)) throw;
    }
    return taken;
  }

  std::string survives_damage() {
    constexpr std::size_t kTries = 200;
    constexpr std::size_t kDocument = 1;  // prose
    const std::size_t block = points_[kDocument].size() / 2;
    const State& whole = points_[kDocument][block].state;
    std::size_t tried = 0, cut_and_taken = 0;
    const std::size_t step = whole.size() / kTries + 1;
    for (std::size_t at = 0; at < whole.size(); at += step, tried += 2) {
      const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(at);
      if (takes(State(whole.begin(), middle), kDocument, block)) ++cut_and_taken;
      State changed = whole;
      std::fill_n(changed.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min<std::size_t>(8, whole.size() - at),
                  std::byte{tried % 4 == 0 ? std::uint8_t{0xFF} : std::uint8_t{0}});
      takes(changed, kDocument, block);
    }
    bool noise_taken = false;
    for (const std::size_t bytes : {1, 7, 64, 5000}) {
      const auto text = SyntheticDocument(SyntheticKind::kRandomBytes, kSeed + bytes).text().substr(0, bytes);
      const auto noise = std::as_bytes(std::span(text));
      noise_taken = takes(State(noise.begin(), noise.end()), kDocument, block) || noise_taken;
      ++tried;
    }
    if (cut_and_taken > 0 || noise_taken) {
      report_.note("damaged states", noise_taken
                                         ? "it takes random bytes for a state; let a state begin with a tag"
                                         : "it takes a state that was cut off; let a state tell its length");
    }
    return std::to_string(tried) + " that were cut, overwritten or random did no harm";
  }

  /// Of the same documents as ever, two at a time, block by block in turns.
  std::string interleaves() {
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      const std::size_t other = (d + 1) % documents_.size();
      Reading first(registry_, info_.name, documents_[d].content);
      Reading second(registry_, info_.name, documents_[other].content);
      while (!first.at_end() || !second.at_end()) {
        if (!first.at_end()) first.process();
        if (!second.at_end()) second.process();
      }
      const std::string how = "read in turns with another one";
      compare(other, second.finish(), how);
      compare(d, first.finish(), how);
    }
    return "two documents block by block in turns give the same bytes";
  }

  std::string reads_on_threads() {
    const auto elsewhere = [](auto body) { std::async(std::launch::async, body).get(); };
    compare_each("each call on a new thread", [&](Reading& reading) {
      while (!reading.at_end()) elsewhere([&] { reading.process(); });
      elsewhere([&] { reading.finish(); });
    });
    std::vector<std::future<void>> runs;
    for (int i = 0; i < 3; ++i) {
      runs.push_back(std::async(std::launch::async, [this] {
        compare_each("several at once", [](Reading& reading) { reading.read_to_end(); });
      }));
    }
    for (auto& run : runs) run.wait();
    for (auto& run : runs) run.get();
    return "each call on another thread, and several documents at once, give the same bytes";
  }

  std::string destroys_early() {
    compare_each("with others given up", [this](Reading& reading) {
      Reading given_up(registry_, info_.name, reading.document());
      if (!given_up.at_end()) given_up.process();
      reading.read_to_end();
    });
    return "a document can be given up in the middle";
  }

  const PluginRegistry& registry_;
  PluginInfo info_;
  Report& report_;
  std::vector<Document> documents_;
  std::vector<Outputs> expected_;           // of each document
  std::vector<std::vector<Point>> points_;  // of each document
};

}  // namespace
}  // namespace check

bool check_plugin_library(const std::filesystem::path& file, std::ostream& out) {
  check::Report report(out);
  report.subject(file.filename().string());
  try {
    PluginRegistry registry;
    registry.set_log([](int, std::string_view, std::string_view) {});
    registry.load_library(file);
    std::string names;
    for (const auto& info : registry.plugins()) names += (names.empty() ? "" : ", ") + info.name;
    report.ok("library",
              "it is for plugin ABI " + std::to_string(UNROLL_ABI_VERSION) + " and holds: " + names);
    for (const auto& info : registry.plugins()) check::PluginCheck(registry, info, report).run();
  } catch (const std::exception& e) {
    report.failed("library", e.what());
  }
  return report.verdict();
}

}  // namespace unroll
