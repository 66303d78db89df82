// A network that reads one document in pieces of any length: one token at a time if each depends on the
// prediction before it. Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/block_model.h"
#include "model/network_shape.h"
#include "model/recurrence.h"

namespace unroll {

/// How a BlockModel of the same checkpoint, which may compute in another type of numbers, writes its states.
struct StateForm {
  std::uint64_t fingerprint = 0;
  c10::ScalarType memory_type = c10::ScalarType::Float;
};

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
  /// Before the first extend(): goes on from what blocks have left.
  virtual void restore(const Recurrence& before) = 0;
  /// Of a network in fp32, because fingerprints are those of the weights in fp32.
  virtual std::vector<StateForm> state_forms() const = 0;
  /// hidden [length, dim] -> logits on the CPU, fp32 [length, num_tokens].
  virtual at::Tensor logits(const at::Tensor& hidden) = 0;
};

/// Loads the checkpoint at `model`. Throws as load_block_model() does.
std::unique_ptr<TokenwiseNetwork> load_tokenwise_network(const std::filesystem::path& model,
                                                         const ModelOptions& options);

}  // namespace unroll
