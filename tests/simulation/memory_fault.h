// Simulates SQLite running out of memory: its malloc fails once on this thread, after a number of
// allocations. (edges.h makes operator new fail, because not all libraries of the engine survive that
// everywhere.)
#pragma once

#include <cstdint>

namespace unroll::simulation {

class MemoryFault {
 public:
  /// The `allocation`th allocation from now on fails during the lifetime of this object; 0: none.
  explicit MemoryFault(std::uint64_t allocation);
  ~MemoryFault();
  MemoryFault(const MemoryFault&) = delete;
  MemoryFault& operator=(const MemoryFault&) = delete;
  /// Whether it has failed.
  static bool happened();

  /// No allocation fails during the lifetime of this object, which protects the simulation's own.
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    const std::uint64_t left_;
  };

  /// Replaces SQLite's malloc. Call before SQLite is used for the first time.
  static void install();
};

}  // namespace unroll::simulation
