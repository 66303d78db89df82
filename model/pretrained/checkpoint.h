// The weights of a pretrained transformer, by Hugging Face's names, from one of two forms:
// - a Hugging Face folder: config.json with model.safetensors, or with the shards that
// model.safetensors.index.json names; F32, F16, BF16;
// - a GGUF file: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.
// Both are memory-mapped. A GGUF file stores the rows of q and k in the order of interleaved rotation; they
// are reordered to Hugging Face's, so that both forms of the same weights give the same tensors, bit for bit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/pretrained/config.h"
#include "model/safetensors_file.h"

namespace unroll {

/// One thread at a time. All members throw std::runtime_error that names the file, the tensor, the problem,
/// and what to do.
class PretrainedCheckpoint {
 public:
  /// Checks configuration, names, shapes and types of all tensors; reads no weights. `path`: a folder or a
  /// GGUF file.
  explicit PretrainedCheckpoint(const std::filesystem::path& path, const ModelSettings& settings = {});

  const PretrainedConfig& config() const { return config_; }
  /// Decodes one of expected_tensors(config()): contiguous fp32 in memory of its own, all values finite. Each
  /// call decodes again: take each tensor once, convert it, and free it.
  at::Tensor tensor(const std::string& name);
  /// The type of most stored numbers: "BF16", "Q4_K".
  std::string stored_type() const;
  /// Numbers in all tensors.
  std::int64_t parameters() const;
  /// Of configuration and weights as stored; differs if any weight or setting differs. tensor() hashes the
  /// bytes that it reads, so call this last: it then reads only the rest.
  std::uint64_t fingerprint();

 private:
  struct Weights {
    StoredTensor stored;
    std::filesystem::path file;
    std::int64_t interleaved_heads = 0;  // heads whose rows are in the order of interleaved rotation; 0: none
    std::optional<std::uint64_t> hash;   // of the bytes
  };

  void open_gguf(const std::filesystem::path& file);
  void open_folder(const std::filesystem::path& folder);
  void add_safetensors(const std::filesystem::path& file, const std::map<std::string, std::string>* shards);
  void check_tensors();
  static std::uint64_t hash(Weights& weights);

  PretrainedConfig config_;
  std::map<std::string, Weights> weights_;         // by Hugging Face's names
  std::vector<std::shared_ptr<const void>> maps_;  // hold the weights' memory
};

/// Whether `path` is a Hugging Face folder or a GGUF file rather than this project's own kind of checkpoint.
/// Throws std::runtime_error if it cannot be read.
bool is_pretrained(const std::filesystem::path& path);

}  // namespace unroll
