// A training step for the CPU, similar to llm.c: memory is allocated once and reused, operations between
// matrix products are fused into loops over tiles, and the backward pass is derived by hand. It computes the
// loss and gradients of BlockRecurrentTransformer, which remains the definition. Matrix products multiply
// fp32 or bf16 and accumulate in fp32; everything else is fp32.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/block_recurrent_transformer.h"

namespace unroll {

/// The blocks of one back-propagation, one tensor per block.
struct TrainingBlocks {
  std::vector<at::Tensor> inputs, targets;  ///< int64 [lanes, block_width]
  std::vector<at::Tensor> begins;           ///< bool [lanes]
  std::int64_t tokens = 0;                  ///< Targets that are not ignored.
};

/// Not thread-safe.
class FastStep {
 public:
  /// Whether it supports the model's options and this CPU; if not, use autograd.
  static bool computes(const ModelConfig& config, const TensorMap& parameters, const std::string& dtype);
  /// `parameters` are shared: contiguous fp32 whose memory must not move. dtype: fp32 or bf16.
  static std::unique_ptr<FastStep> make(const ModelConfig& config, const TensorMap& parameters, int lanes,
                                        const std::string& dtype, int threads);
  virtual ~FastStep() = default;

  /// Call after the parameters have changed, before the next pass.
  virtual void refresh() = 0;
  /// Adds the gradients of `weight` times the blocks' losses to gradients(). Advances `recurrence`; no
  /// gradient flows to the state before the first block. `replay`: keep only the state before each block, and
  /// compute the block again in the backward pass. Returns the sum of losses in nats.
  virtual double pass(const TrainingBlocks& blocks, double weight, bool replay, Recurrence& recurrence) = 0;
  /// By parameter name.
  virtual const TensorMap& gradients() const = 0;
  virtual void clear_gradients() = 0;
};

}  // namespace unroll
