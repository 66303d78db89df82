// Learning while reading (dynamic evaluation: Krause, Kahembwe, Murray & Renals 2018, arXiv 1709.07432): each
// block is scored by the model as adapted to the blocks before it, then the model learns from it by one step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "training/evaluate.h"

namespace unroll {

struct AdaptOptions {
  double learning_rate = 5e-4;  ///< Steps are divided by each gradient's running root mean square.
  std::string dtype = "fp32";   ///< Of the matrix products: fp32 or bf16. The weights are fp32.
};

/// Not thread-safe.
class Adapter {
 public:
  /// Throws std::runtime_error, which names the file and the problem.
  Adapter(const std::filesystem::path& model_directory, const AdaptOptions& options);
  ~Adapter();
  /// Reads a document from its start, adapted to the earlier documents. The figures are defined as in
  /// evaluate(): the document's cache counts, and each block is scored before learning from it. `go_on` is
  /// called after each block; false ends reading there. Throws std::runtime_error.
  EvalResult read(const std::filesystem::path& file,
                  const std::function<bool(std::uint64_t bytes)>& go_on = {});
  /// Writes a model folder with the adapted weights, in the type in which the original was stored.
  void save(const std::filesystem::path& directory) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace unroll
