// Memory that runs out in SQLite: its malloc fails once on this thread, after so many allocations. (Failures
// of operator new come from edges.h: libraries that the engine uses do not survive them everywhere.)
#pragma once

#include <cstdint>

namespace unroll::simulation {

class MemoryFault {
 public:
  /// The `allocation`th allocation from now on fails, for as long as this object lives; 0: none.
  explicit MemoryFault(std::uint64_t allocation);
  ~MemoryFault();
  MemoryFault(const MemoryFault&) = delete;
  MemoryFault& operator=(const MemoryFault&) = delete;
  /// It has failed.
  static bool happened();

  /// No allocation fails while this lives: the simulation's own are not the engine's.
  class Pause {
   public:
    Pause();
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    const std::uint64_t left_;
  };

  /// Replaces SQLite's malloc. Before SQLite is used for the first time.
  static void install();
};

}  // namespace unroll::simulation
