// What GpuTransformer needs of a device beyond LibTorch's operators: row programs, and a block's work
// recorded once and played again. The CPU's, for the tests, is here; the GPU's is in libunroll_cuda.so
// (cuda_library.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <variant>

#include "model/gpu/row_programs.h"

namespace unroll {

using RowProgram =
    std::variant<ResidualNorm<float>, ResidualNorm<c10::BFloat16>, GeluGate<float>, GeluGate<c10::BFloat16>,
                 StateUpdate<float>, StateUpdate<c10::BFloat16>, HeadCopies<float>, HeadCopies<c10::BFloat16>,
                 Score<float>, Score<c10::BFloat16>>;

/// Work that was recorded. Goes before the machine that recorded it.
class Recording {
 public:
  virtual ~Recording() = default;
  /// The same work on the same addresses, behind what was launched before it.
  virtual void play() = 0;
};

/// One thread at a time.
class RowMachine {
 public:
  virtual ~RowMachine() = default;
  /// Runs or launches the program for rows 0, ..., rows - 1; its pointers are the device's, and stay valid
  /// until that is done.
  virtual void run(const RowProgram& program, std::int64_t rows) = 0;
  /// `work` launches the same each time and waits for nothing. It runs once or more, and what it computed at
  /// last is there only after play(). Throws what it cannot record: the device is then as before.
  virtual std::unique_ptr<Recording> record(std::function<void()> work) = 0;
  /// What waits, when it is called, for all that was launched before this.
  virtual std::function<void()> mark() = 0;
};

/// One row after the other, by this thread.
class SerialMachine : public RowMachine {
 public:
  void run(const RowProgram& program, std::int64_t rows) override;
  std::unique_ptr<Recording> record(std::function<void()> work) override;
  std::function<void()> mark() override {
    return [] {};
  }
};

}  // namespace unroll
