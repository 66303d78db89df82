// A training step made for the CPU, in the manner of llm.c: memory is reserved once and used again, what lies
// between matrix products is fused into loops over tiles, and the way back is derived by hand. What it
// computes is the loss and the gradients of BlockRecurrentTransformer, which stays the definition; products
// multiply fp32 or bf16 and sum fp32, all else is fp32.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/block_recurrent_transformer.h"

namespace unroll {

/// What a back-propagation goes through, a tensor a block.
struct TrainingBlocks {
  std::vector<at::Tensor> inputs, targets;  ///< int64 [lanes, block_width]
  std::vector<at::Tensor> begins;           ///< bool [lanes]
  std::int64_t tokens = 0;                  ///< Targets that are not ignored.
};

/// One thread at a time.
class FastStep {
 public:
  /// Whether it has every option of the model, and this CPU what it needs; else autograd is to be used.
  static bool computes(const ModelConfig& config, const TensorMap& parameters, const std::string& dtype);
  /// `parameters` are shared: contiguous fp32 whose memory stays where it is. dtype: fp32 or bf16.
  static std::unique_ptr<FastStep> make(const ModelConfig& config, const TensorMap& parameters, int lanes,
                                        const std::string& dtype, int threads);
  virtual ~FastStep() = default;

  /// After the parameters have changed: call before the next pass.
  virtual void refresh() = 0;
  /// Adds the gradients of `weight` times the blocks' losses to gradients(). `recurrence` moves on; what is
  /// before the first block gets no gradient. `replay`: keeps of each block what is before it alone, and
  /// reads it again on the way back. Returns the sum of losses in nats.
  virtual double pass(const TrainingBlocks& blocks, double weight, bool replay, Recurrence& recurrence) = 0;
  /// By the parameters' names.
  virtual const TensorMap& gradients() const = 0;
  virtual void clear_gradients() = 0;
};

}  // namespace unroll
