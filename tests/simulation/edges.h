// Calls of the engine that may fail: a plugin, the model, memory. Each call crosses an edge; the simulation
// sets how often a crossing fails.
#pragma once

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

#include "tests/simulation/memory_fault.h"
#include "tests/simulation/simulated_disk.h"

namespace unroll::simulation {

struct Edges {
  explicit Edges(Random& random) : random(random) {}
  Edges(const Edges&) = delete;
  Edges& operator=(const Edges&) = delete;

  /// Throws sometimes: bad_alloc, or the edge's own `Exception`, made by `make(text)`.
  template <class Make>
  void cross(const char* edge, Make make) {
    if (!chance(random, failing)) return;
    const MemoryFault::Pause pause;
    ++failures;
    if (chance(random, 0.2)) throw std::bad_alloc();
    throw make(std::string(edge) + " failed: out of luck");
  }

  /// When memory runs out in the next call, for MemoryFault.
  std::uint64_t next_memory_fault() {
    if (!chance(random, memory)) return 0;
    ++memory_faults;
    return 1 + pick(random, std::uint64_t{1} << pick(random, 10));
  }

  Random& random;
  double failing = 0;  ///< Probability of each crossing.
  double memory = 0;   ///< Probability for each call into the engine that memory runs out in it.
  std::uint64_t failures = 0, memory_faults = 0;
};

}  // namespace unroll::simulation
