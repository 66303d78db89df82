// A run of the engine in a simulated world. Everything that happens - which bytes arrive when, who loses the
// connection, when the power fails, which write does not reach the disk - follows from one seed, so that a
// run that goes wrong goes wrong again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace unroll::simulation {

/// What stays the same from run to run: plugins, vocabulary, texts and what each of them must give.
class Library {
 public:
  Library();
  struct Text {
    std::string bytes;
    /// Of an undisturbed reading: "PLUGIN JSON", by sequence number. With two plugins, or the first alone:
    /// when blocks are flushed, whose outputs come first is up to the clock.
    std::vector<std::string> outputs, outputs_alone;
  };
  const Text& text(std::uint64_t number) const { return texts_[number % texts_.size()]; }
  static std::vector<PluginRequest> plugins(bool alone);

  std::shared_ptr<const Vocabulary> vocabulary;
  std::shared_ptr<PluginRegistry> registry;

 private:
  std::vector<Text> texts_;
};

struct Report {
  std::uint64_t steps = 0, documents = 0, power_cuts = 0, kills = 0, faults = 0, edge_failures = 0,
                memory_faults = 0, lost_connections = 0, resumes = 0, evictions = 0, commits = 0;
  std::uint64_t trace = 0;  ///< A hash of all that happened: equal for equal seeds.
  std::string failure;      ///< Empty: everything held.
  Report& operator+=(const Report& other);
};

/// Plays one run to its end, prints each event to stdout where `verbose`.
Report simulate(const Library& library, std::uint64_t seed, bool verbose = false);

}  // namespace unroll::simulation
