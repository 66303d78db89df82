// A network that reads one document in pieces of any length: one token at a time if each depends on the
// prediction before it. Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include <ATen/core/Tensor.h>

#include "model/block_model.h"
#include "model/network_shape.h"

namespace unroll {

/// One document, from its start. One thread, in c10::InferenceMode.
class TokenwiseNetwork {
 public:
  virtual ~TokenwiseNetwork() = default;
  virtual const NetworkShape& shape() const = 0;
  /// Number of tokens that fit into the open block, 1 or more.
  virtual std::int64_t room() const = 0;
  /// Reads the next inputs, 1 to room() -> hidden [length, dim], equal to Network::forward_block() at these
  /// positions except for the order of sums.
  virtual at::Tensor extend(std::span<const std::int32_t> inputs) = 0;
  /// hidden [length, dim] -> logits on the CPU, fp32 [length, num_tokens].
  virtual at::Tensor logits(const at::Tensor& hidden) = 0;
};

/// Loads the checkpoint at `model` in fp32 or bf16. Throws as load_block_model() does.
std::unique_ptr<TokenwiseNetwork> load_tokenwise_network(const std::filesystem::path& model,
                                                         const ModelOptions& options);

}  // namespace unroll
