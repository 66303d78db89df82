// The weights of a pretrained transformer, by Hugging Face's names, from either form that they come in:
//  - a Hugging Face folder: config.json with model.safetensors, or with the shards that
//    model.safetensors.index.json names; F32, F16, BF16;
//  - one GGUF file: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.
// Both are memory-mapped. A GGUF file's rows of q and k, which are stored in the order of interleaved
// rotation, come in Hugging Face's order, so that both forms of the same weights give the same tensors, bit
// for bit.
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

/// Not for sharing between threads. Everything throws std::runtime_error that names the file, the tensor,
/// what is wrong, and what to do.
class PretrainedCheckpoint {
 public:
  /// Checks configuration, names, shapes and types of all tensors; reads no weights. `path`: a folder or a
  /// GGUF file.
  explicit PretrainedCheckpoint(const std::filesystem::path& path, const ModelSettings& settings = {});

  const PretrainedConfig& config() const { return config_; }
  /// One of expected_tensors(config()): contiguous fp32 in memory of its own, all numbers finite. Decoded at
  /// each call: take it once, convert it, and let it go.
  at::Tensor tensor(const std::string& name);
  /// The type that most numbers are stored in: "BF16", "Q4_K".
  std::string stored_type() const;
  /// Numbers in all tensors.
  std::int64_t parameters() const;
  /// Of configuration and weights as stored: another if any weight or setting is another. Hashes a tensor's
  /// bytes when tensor() reads them, and here only those that it has not read: call it last.
  std::uint64_t fingerprint();

 private:
  struct Weights {
    StoredTensor stored;
    std::filesystem::path file;
    std::int64_t interleaved_heads = 0;  // whose rows are in the order of interleaved rotation; 0: none
    std::optional<std::uint64_t> hash;   // of the bytes
  };

  void open_gguf(const std::filesystem::path& file);
  void open_folder(const std::filesystem::path& folder);
  void add_safetensors(const std::filesystem::path& file, const std::map<std::string, std::string>* shards);
  void check_tensors();
  static std::uint64_t hash(Weights& weights);

  PretrainedConfig config_;
  std::map<std::string, Weights> weights_;         // by Hugging Face's names
  std::vector<std::shared_ptr<const void>> maps_;  // that the weights lie in
};

/// A Hugging Face folder or a GGUF file, and not this project's own kind of checkpoint. False if there is
/// neither. Throws std::runtime_error if it cannot be read.
bool is_pretrained(const std::filesystem::path& path);

}  // namespace unroll
