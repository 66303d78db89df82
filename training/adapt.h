// Learning while reading (dynamic evaluation: Krause, Kahembwe, Murray & Renals 2018, arXiv 1709.07432): each
// block is scored with what was learned from those before it, and then learned from by one step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "training/evaluate.h"

namespace unroll {

struct AdaptOptions {
  double learning_rate = 5e-4;  ///< Of a step that is divided by each gradient's running root mean square.
  std::string dtype = "fp32";   ///< Of the matrix products: fp32 or bf16. The weights are fp32.
};

/// One thread.
class Adapter {
 public:
  /// Throws std::runtime_error that names the file and what is wrong.
  Adapter(const std::filesystem::path& model_directory, const AdaptOptions& options);
  ~Adapter();
  /// A document from its start, with what was learned from those before. Its figures are those of evaluate():
  /// the document's cache counts, and no block is scored with what was learned from itself. `go_on` is told
  /// of each block's end; false ends the reading there. Throws std::runtime_error.
  EvalResult read(const std::filesystem::path& file,
                  const std::function<bool(std::uint64_t bytes)>& go_on = {});
  /// Writes a model's folder with what was learned so far, its numbers in the type that they were stored in.
  void save(const std::filesystem::path& directory) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace unroll
