// A network as BlockModel runs it, without gradients: the definition, or a faster form of it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/network_shape.h"
#include "model/recurrence.h"

namespace unroll {

/// What to compute for a block's positions: its tokens' log-probabilities and, if wanted, the entropies and
/// the most probable tokens of the distributions that its tokens were drawn from.
struct Scored {
  std::span<const std::int32_t> targets;         ///< [length] the block's tokens.
  std::vector<float>* logprobs;                  ///< Appends nats [length].
  std::vector<float>* entropy;                   ///< Appends nats [length]; null: not wanted.
  std::int64_t top_k = 0;                        ///< At most num_tokens; 0: not wanted.
  std::vector<std::int32_t>* top_ids = nullptr;  ///< Appends [length, top_k], the most probable first.
  std::vector<float>* top_logprobs = nullptr;    ///< Appends nats [length, top_k].
  std::vector<std::int32_t>* ranks = nullptr;    ///< Appends [length]; null: not wanted.
  std::span<const std::uint8_t> members = {};    ///< As in Wants.
  std::vector<float>* mass = nullptr;            ///< Appends nats [length]; null: not wanted.
};

/// The first positions of a block, as a network that has computed them needs them for the next ones.
struct BlockStart {
  std::int64_t length = 0;
  std::vector<at::Tensor> kv;  ///< One per layer, as Recurrence::memories: [2 (k, v), batch, length, kv_dim].

  /// The first `count` positions.
  BlockStart first(std::int64_t count) const;
  /// One row as a batch of one that shares no memory with the others.
  BlockStart row(std::int64_t index) const;
};

/// One thread at a time.
class Network {
 public:
  virtual ~Network() = default;
  virtual const NetworkShape& shape() const = 0;
  virtual at::Device device() const = 0;
  /// Then LibTorch's threads must not be woken for the little work left to them: they would spin and take CPU
  /// time from these.
  virtual bool has_own_threads() const { return false; }
  /// Computes one block: tokens int64 [batch, length <= block_width] -> hidden [batch, length, dim], from
  /// which logits are computed. Updates `recurrence`: states always, memories if the block is full. The
  /// memories of all rows must be visible.
  virtual at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) = 0;
  /// Whether continue_block() can be called.
  virtual bool continues_blocks() const { return false; }
  /// The same for tokens that come after `start`, which is of one row or empty, and to which all rows of
  /// `tokens` are added. To the last bit, hidden and recurrence are those of the block as a whole.
  virtual at::Tensor continue_block(const at::Tensor& /*tokens*/, Recurrence& /*recurrence*/,
                                    BlockStart& /*start*/) {
    throw std::logic_error("this network computes only whole blocks");
  }
  /// Starts scoring hidden [batch, length, dim], one block per document. Call the result once: it waits for
  /// the numbers and appends them. Meanwhile a GPU computes, including work that is started later.
  virtual std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) = 0;
  /// hidden [length, dim] -> logits on the CPU, fp32 [length, num_tokens].
  virtual at::Tensor logits(const at::Tensor& hidden) = 0;
};

/// Appends the `count` most probable tokens (or all, if there are fewer) of each row of logprobs [rows,
/// num_tokens].
void append_top(const at::Tensor& logprobs, std::int64_t count, std::vector<std::int32_t>& ids,
                std::vector<float>& values);
/// Appends the rank of each row's target in logprobs [rows, num_tokens]. targets int64 [rows], on the same
/// device.
void append_ranks(const at::Tensor& logprobs, const at::Tensor& targets, std::vector<std::int32_t>& ranks);
/// Appends the log of the members' probability in each row of logprobs [rows, num_tokens].
void append_mass(const at::Tensor& logprobs, std::span<const std::uint8_t> members, std::vector<float>& mass);
/// The smallest log-probability that a set is given, also if it has no members.
inline constexpr float kNoMass = -1000;

}  // namespace unroll
