#include "plugins/check/checks.h"

#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include <malloc.h>
#include <nlohmann/json.hpp>

#include "plugins/check/reading.h"
#include "plugins/check/watched_destroy.h"

namespace unroll::check {
namespace {

constexpr std::uint64_t kSeed = 20240501;
constexpr std::size_t kProse = 1;  // index of the document

}  // namespace

/// The checks of one plugin. Constructed for each check, in a process of its own.
class PluginCheck {
 public:
  PluginCheck(const PluginRegistry& registry, PluginInfo info, Say say)
      : registry_(registry), info_(std::move(info)), say_(std::move(say)) {
    for (const auto kind : kSyntheticKinds) {
      // One alternative more than wanted: the plugin must get its own number of them.
      documents_.push_back({std::string(name_of(kind)), SyntheticDocument(kind, kSeed, info_.top_k + 1)});
    }
  }

  void run(const Check& check) {
    const std::string well = (this->*check.body)();
    say_(Result::kOk, well);
  }

  static std::span<const Check> checks();

 private:
  struct Point {  // before a block, or before finish
    State state;
    std::size_t outputs;
  };
  /// Why a check failed.
  struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  /// Reads each document for the outputs that the other checks compare with.
  void read_each() {
    for (const auto& document : documents_) {
      CheckedReading reading(registry_, info_.name, document);
      try {
        expected_.push_back(reading.read_to_end());
      } catch (const PluginError& e) {
        throw Failure("document \"" + document.name + "\": " + e.what());
      }
    }
  }
  void compare(std::size_t document, const Outputs& found, const std::string& how, std::size_t skipped = 0) {
    if (expected_.empty()) read_each();
    const auto why = difference(expected_[document], found, skipped);
    if (!why.empty()) throw Failure("document \"" + documents_[document].name + "\", " + how + ": " + why);
  }
  /// Reads each document again with `read` and compares the outputs.
  void compare_each(const std::string& how, const std::function<void(CheckedReading&)>& read) {
    if (expected_.empty()) read_each();
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      CheckedReading reading(registry_, info_.name, documents_[d]);
      read(reading);
      compare(d, reading.outputs(), how);
    }
  }
  std::unique_ptr<PluginInstance> instance(std::string_view options = "{}") const {
    now_in("create");
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
      say_(Result::kNote, "it is refused by another status than UNROLL_ERROR_OPTIONS");
      return "it is refused";
    }
    say_(Result::kNote, "it is accepted: a misspelled option goes unnoticed");
    return "it does no harm";
  }

  std::string reads() {
    read_each();
    std::size_t blocks = 0, outputs = 0;
    for (const auto& document : documents_) blocks += document.content.block_count();
    for (const auto& list : expected_) outputs += list.size();
    if (outputs == 0) say_(Result::kNote, "it emits nothing for any document");
    return std::to_string(outputs) + ", all of them JSON, from " + std::to_string(documents_.size()) +
           " documents in " + std::to_string(blocks) + " blocks";
  }

  std::string repeats() {
    compare_each("read again", [](CheckedReading& reading) { reading.read_to_end(); });
    return "the same documents give the same bytes";
  }

  std::string borrows() {
    compare_each("its blocks overwritten after each call", [](CheckedReading& reading) {
      while (!reading.at_end()) {
        auto& block = reading.process();
        if (!block.same_data(reading.content().block(block.index))) {
          throw Failure("it wrote into a block; other plugins are given the same one");
        }
        block.poison();
      }
      reading.finish();
    });
    return "it reads blocks only during calls, and does not write to them";
  }

  std::string borrows_guarded() {
    compare_each("its blocks read-only, and inaccessible after each call", [](CheckedReading& reading) {
      while (!reading.at_end()) reading.process_guarded();
      reading.finish();
    });
    return "the same, with protected memory";
  }

  /// Outputs may depend on block boundaries; the host may choose any.
  std::string takes_any_blocks() {
    for (const auto& document : documents_) {
      const auto& whole = document.content.whole();
      const std::size_t tokens = std::min<std::size_t>(whole.length(), 3000);
      for (const std::size_t width : {std::size_t{1}, std::max<std::size_t>(tokens, 1)}) {
        std::vector<std::size_t> cuts;
        for (std::size_t first = 0; first < tokens; first += width) cuts.push_back(first);
        const Document cut{document.name + " cut anew", {whole.slice(0, 0, tokens), std::move(cuts)}};
        CheckedReading(registry_, info_.name, cut).read_to_end();
      }
    }
    return "it takes documents in one block, and in blocks of one token";
  }

  std::string saves() {
    if (points_.empty()) save_each();
    std::size_t largest = 0;
    for (const auto& points : points_) {
      for (const auto& point : points) largest = std::max(largest, point.state.size());
    }
    return "saving after each block changes no output, twice gives the same bytes; states have up to " +
           std::to_string(largest) + " bytes";
  }
  void save_each() {
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      CheckedReading reading(registry_, info_.name, documents_[d]);
      auto& points = points_.emplace_back();
      points.push_back({reading.save(), 0});
      while (!reading.at_end()) {
        reading.process();
        points.push_back({reading.save(), reading.outputs().size()});
        if (reading.save() != points.back().state) {
          throw Failure("document \"" + documents_[d].name +
                        "\": two calls of save in a row give different bytes");
        }
      }
      compare(d, reading.finish(), "saved after each block");
    }
  }

  std::string loads() {
    if (points_.empty()) save_each();
    std::size_t count = 0;
    bool other_bytes = false;
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      for (std::size_t block = 0; block < points_[d].size(); ++block, ++count) {
        const auto& point = points_[d][block];
        CheckedReading reading(registry_, info_.name, documents_[d], block);
        reading.load(point.state);
        other_bytes = other_bytes || reading.save() != point.state;
        compare(d, reading.read_to_end(), "stopped before block " + std::to_string(block) + " and resumed",
                point.outputs);
      }
    }
    if (other_bytes) say_(Result::kNote, "the state saved right after load differs from the state loaded");
    return "stopped at any of " + std::to_string(count) +
           " block boundaries and resumed, it gives the same bytes";
  }

  std::string relays() {
    compare_each("resumed before every block", [](CheckedReading& reading) {
      while (!reading.at_end()) {
        reading.hand_over();
        reading.process();
      }
      reading.hand_over();
      reading.finish();
    });
    return "resumed before every block, it gives the same bytes";
  }

  std::string forks() {
    if (!info_.forks) return "it has no fork: it cannot be used after a snapshot";
    compare_each("forked before the first block", [](CheckedReading& reading) {
      reading.fork_at_begin();
      reading.read_to_end();
    });
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      for (std::size_t next = 0; next < documents_.size(); ++next) {
        for (const auto* head : {"", "\nhe"}) {
          const auto once = read_forked(d, next, head, false);
          const auto why = difference(once, read_forked(d, next, head, true));
          if (!why.empty()) {
            throw Failure("document \"" + documents_[next].name + "\" after \"" + documents_[d].name +
                          "\", forked twice in a row and resumed before every block: " + why);
          }
        }
      }
    }
    return "one document after another gives the same bytes whenever it is resumed; a fork of a new instance "
           "changes nothing";
  }
  /// The outputs of the second document.
  Outputs read_forked(std::size_t first, std::size_t second, std::string_view head, bool restless) {
    CheckedReading reading(registry_, info_.name, documents_[first]);
    while (!reading.at_end()) reading.process();
    const auto before = static_cast<std::ptrdiff_t>(reading.outputs().size());
    if (restless) reading.hand_over();
    reading.fork(head, documents_[second]);
    if (restless) reading.hand_over();
    if (restless) reading.fork_at_begin();
    while (!reading.at_end()) {
      if (restless) reading.hand_over();
      reading.process();
    }
    if (restless) reading.hand_over();
    const auto& outputs = reading.finish();
    return {outputs.begin() + before, outputs.end()};
  }

  /// Loads the state and continues reading. Returns whether it was accepted; an error is a valid result.
  bool takes(const State& state, std::size_t document, std::size_t block) const {
    CheckedReading reading(registry_, info_.name, documents_[document], block);
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
    constexpr std::size_t kDocument = kProse;
    if (points_.empty()) save_each();
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
      say_(Result::kNote, noise_taken ? "it accepts random bytes as a state; begin the state with a tag"
                                      : "it accepts a truncated state; store the length in the state");
    }
    return std::to_string(tried) + " that were cut, overwritten or random did no harm";
  }

  /// Reads the same documents two at a time, interleaved block by block.
  std::string interleaves() {
    for (std::size_t d = 0; d < documents_.size(); ++d) {
      const std::size_t other = (d + 1) % documents_.size();
      CheckedReading first(registry_, info_.name, documents_[d]);
      CheckedReading second(registry_, info_.name, documents_[other]);
      while (!first.at_end() || !second.at_end()) {
        if (!first.at_end()) first.process();
        if (!second.at_end()) second.process();
      }
      const std::string how = "interleaved with another one";
      compare(other, second.finish(), how);
      compare(d, first.finish(), how);
    }
    return "two documents, interleaved block by block, give the same bytes";
  }

  std::string reads_on_threads() {
    if (expected_.empty()) read_each();
    const auto elsewhere = [](auto body) { std::async(std::launch::async, body).get(); };
    compare_each("each call on a new thread", [&](CheckedReading& reading) {
      while (!reading.at_end()) elsewhere([&] { reading.process(); });
      elsewhere([&] { reading.finish(); });
    });
    std::vector<std::future<void>> runs;
    for (int i = 0; i < 3; ++i) {
      runs.push_back(std::async(std::launch::async, [this] {
        compare_each("several at once", [](CheckedReading& reading) { reading.read_to_end(); });
      }));
    }
    for (auto& run : runs) run.wait();
    for (auto& run : runs) run.get();
    return "each call on another thread, and several documents at once, give the same bytes";
  }

  std::string destroys_early() {
    compare_each("with others abandoned", [this](CheckedReading& reading) {
      CheckedReading abandoned(registry_, info_.name, reading.document());
      if (!abandoned.at_end()) abandoned.process();
      reading.read_to_end();
    });
    const PluginLibrary library(info_.library);
    if (const auto used = used_while_destroyed(own(library)); !used.empty()) {
      throw Failure("it calls the host's " + used + " while it is destroyed; emit from process and finish");
    }
    return "a document can be abandoned in the middle";
  }

  const PluginLibrary::Plugin& own(const PluginLibrary& library) const {
    const auto same = [&](const auto& plugin) { return plugin.info.name == info_.name; };
    return *std::find_if(library.plugins().begin(), library.plugins().end(), same);
  }

  std::string answers_for_extensions() {
    const PluginLibrary library(info_.library);
    const auto& table = own(library).table;
    now_in("extension");
    if (table.extension == nullptr) return "it has none";
    if (table.extension("unroll.no-such-extension/1") != nullptr) {
      throw Failure("its function extension does not return NULL for an unknown name");
    }
    const auto* options = static_cast<const unroll_options*>(table.extension(UNROLL_EXTENSION_OPTIONS));
    if (options != nullptr && (options->size < sizeof(unroll_options) || options->schema == nullptr)) {
      throw Failure("its unroll_options has a size of less than sizeof(unroll_options), or no schema");
    }
    const auto* fork = static_cast<const unroll_fork*>(table.extension(UNROLL_EXTENSION_FORK));
    if (fork != nullptr && (fork->size < sizeof(unroll_fork) || fork->fork == nullptr)) {
      throw Failure("its unroll_fork has a size of less than sizeof(unroll_fork), or no function");
    }
    return std::string("it has ") + (options != nullptr ? "unroll.options/1, " : "") +
           (fork != nullptr ? "unroll.fork/1, " : "") + "NULL for unknown names";
  }

  std::string describes_options() {
    if (info_.options.empty()) return "it has none";
    const auto schema = nlohmann::json::parse(info_.options, nullptr, false);
    if (!schema.is_object()) throw Failure("its schema is not a JSON object");
    const auto properties = schema.value("properties", nlohmann::json::object());
    std::size_t tried = 0;
    for (const auto& [key, property] : properties.items()) {
      if (!property.is_object() || !property.contains("default")) continue;
      instance(nlohmann::json{{key, property["default"]}}.dump());
      ++tried;
    }
    return "a JSON Schema of " + std::to_string(properties.size()) + " options; it accepts the " +
           std::to_string(tried) + " defaults given there";
  }

  /// Checks malloc's count of bytes in use, which is exact with one thread and without sanitizers.
  std::string leaks_nothing() {
    constexpr int kDocuments = 10;
    constexpr std::size_t kLeast = 16;  // bytes of the smallest allocation
    const auto in_use_after_reading = [&] {
      for (int i = 0; i < kDocuments; ++i)
        CheckedReading(registry_, info_.name, documents_[kProse]).read_to_end();
      const auto now = ::mallinfo2();
      return now.uordblks + now.hblkhd;
    };
    in_use_after_reading();  // one-time allocations stay
    const std::size_t first = in_use_after_reading(), second = in_use_after_reading(),
                      third = in_use_after_reading();
    if (second >= first + kDocuments * kLeast && third >= second + kDocuments * kLeast) {
      // The smaller growth: the other may include a chunk that malloc keeps for itself.
      const std::size_t grown = std::min(second - first, third - second);
      throw Failure("each document leaves about " + std::to_string(grown / kDocuments) +
                    " bytes that are never freed; build it with -fsanitize=address to see where");
    }
    return "no bytes are leaked after " + std::to_string(4 * kDocuments) + " documents";
  }

  std::string takes_time() {
    using Clock = std::chrono::steady_clock;
    Clock::duration total{}, longest{};
    std::size_t blocks = 0;
    for (const auto& document : documents_) {
      for (CheckedReading reading(registry_, info_.name, document); !reading.at_end(); ++blocks) {
        const auto begin = Clock::now();
        reading.process();
        total += Clock::now() - begin;
        longest = std::max(longest, Clock::now() - begin);
      }
    }
    const auto micros = [](Clock::duration time) {
      return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
    };
    return "process takes " + micros(total / static_cast<int>(std::max<std::size_t>(blocks, 1))) +
           " microseconds per block, at most " + micros(longest);
  }

  const PluginRegistry& registry_;
  PluginInfo info_;
  Say say_;
  std::vector<Document> documents_;
  std::vector<Outputs> expected_;           // of each document
  std::vector<std::vector<Point>> points_;  // of each document
};

std::span<const Check> PluginCheck::checks() {
  using C = PluginCheck;
  static constexpr Check kChecks[] = {
      {.name = "create", .body = &C::creates, .alone = true},
      {.name = "unknown option", .body = &C::refuses_options},
      {.name = "extensions", .body = &C::answers_for_extensions, .looks_inside = true},
      {.name = "option schema", .body = &C::describes_options},
      {.name = "outputs", .body = &C::reads, .alone = true},
      {.name = "repeat", .body = &C::repeats},
      {.name = "memory", .body = &C::borrows, .looks_inside = true},
      {.name = "guarded memory", .body = &C::borrows_guarded, .looks_inside = true},
      {.name = "blocks", .body = &C::takes_any_blocks},
      {.name = "save", .body = &C::saves},
      {.name = "load", .body = &C::loads},
      {.name = "relay", .body = &C::relays},
      {.name = "fork", .body = &C::forks},
      {.name = "damaged states", .body = &C::survives_damage},
      {.name = "side by side", .body = &C::interleaves},
      {.name = "threads", .body = &C::reads_on_threads},
      {.name = "destroy", .body = &C::destroys_early, .looks_inside = true},
      {.name = "leaks", .body = &C::leaks_nothing, .looks_inside = true, .ending = Ending::kExit},
      {.name = "time", .body = &C::takes_time},
  };
  return kChecks;
}

std::span<const Check> all_checks() {
  return PluginCheck::checks();
}

void run_check(const Check& check, const PluginRegistry& registry, const PluginInfo& info, const Say& say) {
  PluginCheck(registry, info, say).run(check);
}

}  // namespace unroll::check
