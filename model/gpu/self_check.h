// Checks that a form of the network computes what the definition does on this machine. Used when loading a
// form that has code which no test runs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "model/network.h"

namespace unroll {

struct SelfCheck {
  /// Of one tensor after one block: root mean square of the difference, relative to the variation of the
  /// definition's numbers. Infinite if a number is not finite.
  struct Difference {
    std::int64_t documents, block;  ///< Documents side by side; blocks count from 1.
    std::string tensor;
    double value;
  };
  std::vector<Difference> differences;  ///< In order of computation.
  std::string error;                    ///< What was thrown; the differences before it are there.

  double worst() const;
  /// Why the form must not be used, with the first differences that are too large; empty if it may.
  std::string problem(double tolerance) const;
};

/// Differences that rounding to bf16, or another order of sums in fp32, causes between two correct results.
constexpr double check_tolerance(bool bf16) {
  return bf16 ? 0.05 : 1e-3;
}

/// Numbers of documents for each of which full blocks are recorded (BlockRecordings).
std::vector<std::int64_t> recorded_batches();

/// Runs documents through both, on their device, for each number of documents: until the memories are full,
/// two more blocks, which are recorded and replayed, and a part of one.
SelfCheck self_check(const BlockRecurrentTransformer& definition, Network& form,
                     std::span<const std::int64_t> batches);

}  // namespace unroll
