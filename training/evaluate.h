// Evaluation: how well a checkpoint predicts a file, and how fast.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "model/block_model.h"

namespace unroll {

struct EvalResult {
  std::uint64_t tokens = 0, bytes = 0;
  double nats = 0;
  double bits_per_byte = 0;
  double tokens_per_second = 0;

  /// Computes the last two fields from the others and the time taken.
  void set_rates(double seconds);
};

/// Streams the file through the model from its first byte, keeping states and memories. `reset_tokens` > 0
/// resets them after each so many tokens, to measure their effect. Throws
/// std::runtime_error.
EvalResult evaluate(const std::filesystem::path& model_directory, const std::filesystem::path& file,
                    const ModelOptions& options, std::uint64_t reset_tokens = 0,
                    const std::function<void(std::uint64_t bytes)>& progress = {});

struct BenchResult {
  double tokens_per_second = 0;
  std::uint64_t peak_rss_bytes = 0;
  std::string device, dtype;
  int batch = 1;
};

/// Runs full blocks of `batch` documents through the model for about `seconds`, after one warm-up block.
BenchResult bench(const std::filesystem::path& model_directory, const ModelOptions& options, int batch = 1,
                  double seconds = 5);

}  // namespace unroll
