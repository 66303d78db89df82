// A run of the engine in a simulated environment. Everything that happens (which bytes arrive when, who loses
// the connection, when the power fails, which write does not reach the disk) follows from one seed, so that a
// failed run can be repeated.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace unroll::simulation {

/// Number of models. A model's seed is its index.
inline constexpr std::size_t kModels = 2;

/// What is the same in all runs: plugins, vocabulary, texts and the right outputs.
class Library {
 public:
  Library();
  struct Text {
    std::string before;  ///< Not empty: the document goes on from a snapshot of these bytes.
    std::string bytes;
    /// From an undisturbed run: "PLUGIN JSON", by sequence number. With all plugins, or only the first: when
    /// blocks are flushed, the order of their outputs depends on the clock.
    struct Outputs {
      std::vector<std::string> both, alone;
    };
    std::array<Outputs, kModels> outputs;  ///< By model.
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
  std::uint64_t trace = 0;  ///< A hash of all events: equal for equal seeds.
  std::string failure;      ///< Empty if nothing was violated.
  Report& operator+=(const Report& other);
};

/// Runs one simulation to its end; prints each event to stdout if `verbose`.
Report simulate(const Library& library, std::uint64_t seed, bool verbose = false);

}  // namespace unroll::simulation
