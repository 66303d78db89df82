// What GpuTransformer needs from a device beyond LibTorch's operators: row programs, and recording and
// replaying a block's work. The CPU's, for tests, is here; the GPU's is in libunroll_cuda.so
// (cuda_library.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "model/gpu/row_programs.h"

namespace unroll {

using RowProgram =
    std::variant<ResidualNorm<float>, ResidualNorm<c10::BFloat16>, GeluGate<float>, GeluGate<c10::BFloat16>,
                 StateUpdate<float>, StateUpdate<c10::BFloat16>, HeadCopies<float>, HeadCopies<c10::BFloat16>,
                 Score<float>, Score<c10::BFloat16>>;

/// Recorded work. Must be destroyed before the machine that recorded it.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Replays the work on the same addresses, after the work that was launched before.
  virtual void play() = 0;
};

/// One thread at a time.
class RowMachine {
 public:
  virtual ~RowMachine() = default;
  /// Runs or launches the program for rows 0, ..., rows - 1. Its pointers are the device's and must stay
  /// valid until it is done.
  virtual void run(const RowProgram& program, std::int64_t rows) = 0;
  /// `work` must launch the same each time and never wait. It runs once or more; its results are valid only
  /// after play(). If recording fails, throws and leaves the device as before. Other threads may use it
  /// meanwhile, and record, too.
  virtual std::unique_ptr<Recording> record(std::function<void()> work) = 0;
  /// Returns a function that waits for all work launched before this call.
  virtual std::function<void()> mark() = 0;
  /// Waits for the work launched before. Why the device can compute nothing more in this process, as after a
  /// kernel's access to a wrong address; empty if it can.
  virtual std::string lost() = 0;
};

/// Runs one row after the other in this thread.
class SerialMachine : public RowMachine {
 public:
  void run(const RowProgram& program, std::int64_t rows) override;
  std::unique_ptr<Recording> record(std::function<void()> work) override;
  std::function<void()> mark() override {
    return [] {};
  }
  std::string lost() override { return ""; }
};

}  // namespace unroll
