// Measures a model's accuracy for each distance, on words and keys that are not in the training split.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace unroll::recall {

struct TestOptions {
  std::filesystem::path model;
  std::vector<std::int64_t> distances;  ///< Tokens.
  int documents = 200;                  ///< Per distance.
  int together = 20;                    ///< Documents per batch.
  int pairs = 1;
  /// Forgotten after each block, as a control: any of "memories", "states", "routed".
  std::vector<std::string> dropped;
  std::uint64_t seed = 1;
  int threads = 0;
};

struct TestResult {
  std::int64_t distance = 0;
  int documents = 0, right = 0;
  double tokens_per_second = 0;
  double accuracy() const { return static_cast<double>(right) / documents; }
};

/// Throws std::runtime_error.
TestResult test(const TestOptions& options, std::int64_t distance);

}  // namespace unroll::recall
