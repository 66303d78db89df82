// A pretrained transformer of the Llama family (Llama, Mistral, Qwen2, Qwen3), read as a stream of blocks.
// Each block attends to itself, to the `memory_blocks` blocks before it, and to the document's first
// `attention_sinks` positions (Xiao et al. 2024, arXiv 2309.17453, section 3). Keys are stored before
// rotation; a key's position is its index among the keys that the block sees: sinks, then earlier blocks,
// then the block itself. For the first 1 + memory_blocks blocks, the result equals that of the transformer on
// one sequence.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/network_shape.h"
#include "model/pretrained/config.h"
#include "model/pretrained/weights.h"
#include "model/recurrence.h"

namespace unroll {

/// A block that arrives in pieces: `past` positions of memory come before it, `length` of its own are there.
struct OpenPretrainedBlock {
  std::int64_t past = 0, length = 0;
  /// One per layer, with room for the whole block: [batch, kv_heads, past + room, head_dim], keys rotated.
  std::vector<at::Tensor> keys, values;
  std::vector<at::Tensor> block;  ///< One per layer: [2 (k, v), batch, room, kv_dim], before rotation.
};

/// Blocks leave only Recurrence::memories: [2 (k, v), batch, positions, kv_dim], sinks first, then the latest
/// memory_blocks * block_width positions. Immutable; from any thread.
class PretrainedTransformer {
 public:
  /// `memories`: fp32 or bf16, the type of keys and values both in memories and in blocks.
  PretrainedTransformer(PretrainedConfig config, PretrainedWeights weights, at::ScalarType memories);

  const PretrainedConfig& config() const { return config_; }
  const PretrainedWeights& weights() const { return weights_; }
  at::Device device() const { return weights_.embedding.device(); }
  NetworkShape shape() const;
  /// [memory_positions + block_width, head_dim] fp32: cosines that rotate a position's keys and queries.
  const at::Tensor& cosine() const { return cosine_; }
  const at::Tensor& sine() const { return sine_; }

  /// Computes one block: tokens int64 [batch, length <= block_width] -> hidden [batch, length, dim], after
  /// the last norm. Updates `recurrence` if the block is full.
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) const;
  /// The same block in pieces; each gives what forward_block() gives for its positions, except for the order
  /// of sums.
  OpenPretrainedBlock open_block(const Recurrence& before, std::int64_t batch) const {
    return open_block(before, batch, config_.block_width);
  }
  at::Tensor extend_block(const at::Tensor& tokens, OpenPretrainedBlock& block) const;
  Recurrence close_block(const OpenPretrainedBlock& block, const Recurrence& before) const;
  /// Hidden [..., dim] -> logits [..., vocabulary].
  at::Tensor to_logits(const at::Tensor& hidden) const;

 private:
  OpenPretrainedBlock open_block(const Recurrence& before, std::int64_t batch, std::int64_t room) const;
  at::Tensor attend(std::size_t layer, const at::Tensor& x, OpenPretrainedBlock& block) const;
  at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& scale) const;
  /// Rotates x [batch, heads, length, head_dim] at positions from `begin` on.
  at::Tensor rotate(const at::Tensor& x, std::int64_t begin) const;
  at::Tensor split_heads(
      const at::Tensor& x) const;  ///< [batch, n, heads * head_dim] -> [batch, heads, n, head_dim]

  PretrainedConfig config_;
  PretrainedWeights weights_;
  at::ScalarType memory_type_, attention_type_;
  at::Tensor cosine_, sine_;
};

}  // namespace unroll
