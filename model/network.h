// A network as BlockModel runs it, without gradients: the definition, or a form of it made for the machine.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/network_shape.h"
#include "model/recurrence.h"

namespace unroll {

/// What is asked of a block's positions: its tokens' log-probabilities, and, if they are wanted, the
/// entropies and the most probable tokens of the distributions that its tokens were drawn from.
struct Scored {
  std::span<const std::int32_t> targets;         ///< [length] the block's tokens.
  std::vector<float>* logprobs;                  ///< Nats [length] are appended.
  std::vector<float>* entropy;                   ///< Nats [length] are appended; null: not wanted.
  std::int64_t top_k = 0;                        ///< At most num_tokens; 0: not wanted.
  std::vector<std::int32_t>* top_ids = nullptr;  ///< [length, top_k] are appended, the most probable first.
  std::vector<float>* top_logprobs = nullptr;    ///< Nats [length, top_k] are appended.
};

/// One thread at a time.
class Network {
 public:
  virtual ~Network() = default;
  virtual const NetworkShape& shape() const = 0;
  virtual at::Device device() const = 0;
  /// Then LibTorch's are not to be woken for what little is left to them: they would spin beside these.
  virtual bool has_own_threads() const { return false; }
  /// One block: tokens int64 [batch, length <= block_width] -> hidden [batch, length, dim], what logits are
  /// of. `recurrence` moves on: states always, memories when the block is full. All rows' memories count.
  virtual at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) = 0;
  /// Begins to score hidden [batch, length, dim], as many blocks. What it returns is called once, waits for
  /// the numbers and appends them; a GPU computes meanwhile, what is begun later, too.
  virtual std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) = 0;
  /// hidden [length, dim] -> logits on the CPU, fp32 [length, num_tokens].
  virtual at::Tensor logits(const at::Tensor& hidden) = 0;
};

/// Appends the `count` most probable tokens of each row of logprobs [rows, num_tokens], fewer if there are
/// not as many.
void append_top(const at::Tensor& logprobs, std::int64_t count, std::vector<std::int32_t>& ids,
                std::vector<float>& values);

}  // namespace unroll
