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
#include <memory>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include "model/pretrained/config.h"

namespace unroll {

/// Not for sharing between threads. Everything throws std::runtime_error that names the file, the tensor,
/// what is wrong, and what to do.
class PretrainedCheckpoint {
 public:
  virtual ~PretrainedCheckpoint() = default;

  const PretrainedConfig& config() const { return config_; }
  /// One of expected_tensors(config()): contiguous fp32 in memory of its own, all numbers finite. Decoded at
  /// each call: take it once, convert, let it go. A tied model has no "lm_head.weight".
  at::Tensor tensor(const std::string& name);
  /// The type that the matrices are stored in: "BF16", "Q4_K".
  virtual std::string stored_type() const = 0;
  /// Of configuration and weights as stored: another if any weight or setting is another. Hashes tensors when
  /// tensor() reads them, and here only those that it has not read, so call it last.
  std::uint64_t fingerprint();
  /// Numbers in all tensors.
  std::int64_t parameters() const;
};

/// A Hugging Face folder or a GGUF file, and not this project's own kind of checkpoint. False if there is
/// nothing.
bool is_pretrained(const std::filesystem::path& path);

/// Checks configuration, names, shapes and types of all tensors; reads none.
std::unique_ptr<PretrainedCheckpoint> open_pretrained(const std::filesystem::path& path,
                                                      const ModelSettings& settings = {});

}  // namespace unroll
