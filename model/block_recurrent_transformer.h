// The block-recurrent transformer (Hutchins et al. 2022, arXiv 2203.07852) as PyPI
// block-recurrent-transformer-pytorch 0.4.4 computes it. Parameters have that package's names; LibTorch's
// autograd computes the gradients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/config.h"
#include "model/memory.h"
#include "model/position_bias.h"
#include "model/recurrence.h"
#include "model/rotary.h"
#include "model/routed_memory.h"
#include "model/safetensors.h"
#include "model/state_container.h"

namespace unroll {

struct Layer {
  LayerNorm norm;
  at::Tensor to_q, to_kv, to_out;
  Attention attn;
  std::optional<StateContainer> state_container;
  std::vector<std::size_t> reads_states;  // indices into Recurrence::states
  LayerNorm ff_norm;
  at::Tensor ff_in, ff_out;            // [2 * ff_inner, dim], [dim, ff_inner]
  at::Tensor attention_gate, ff_gate;  // [dim]; undefined: residual sums
  Compression compression;
  std::optional<RoutedAttention> routed;
};

/// A block that arrives in pieces: one token at a time if each depends on the prediction before it.
struct OpenBlock {
  std::int64_t memory_length = 0, length = 0;  ///< Positions of the memories; of the block so far.
  std::vector<StateContainer::Reading> readings;
  RoutedMemory routed;
  std::vector<at::Tensor>
      routes;  ///< [batch, length, route_dim] per piece: route keys by which the block will be found.
  /// One per layer, with room for memory_length + block_width positions: [batch, kv_heads, positions,
  /// dim_head], normalised and rotated, and [batch, positions, kv_dim].
  std::vector<at::Tensor> keys, values;
  std::vector<at::Tensor> block;  ///< One per layer: [2 (k, v), batch, block_width, kv_dim], before rotation.
};

class BlockRecurrentTransformer {
 public:
  /// Shares the tensors of `parameters`, which have the names and shapes of expected_parameters() in
  /// checkpoint.h.
  BlockRecurrentTransformer(ModelConfig config, TensorMap parameters);

  const ModelConfig& config() const { return config_; }
  const TensorMap& parameters() const { return parameters_; }
  at::Device device() const { return token_emb_.device(); }
  /// The parts from which a faster form of the network is built. State containers count from the bottom, as
  /// states do.
  const std::vector<Layer>& layers() const { return layers_; }
  const LayerNorm& logits_norm() const { return logits_norm_; }
  const RotaryTables& rotary() const { return rotary_; }

  /// Computes one block: tokens int64 [batch, length <= block_width] -> hidden [batch, length, dim]. Updates
  /// `recurrence`: states always, memories if the block is full. `compression`, if given, is set to the mean
  /// of the layers' compression_loss() (memory.h); undefined if nothing was compressed.
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence,
                           at::Tensor* compression = nullptr) const;
  /// The same block in pieces, without gradients: extend_block() of tokens [batch, length] returns what
  /// forward_block() returns for these positions, except for the order of sums. `before` is as for
  /// forward_block(); close_block() returns the recurrence after the block.
  OpenBlock open_block(const Recurrence& before, std::int64_t batch) const;
  at::Tensor extend_block(const at::Tensor& tokens, OpenBlock& block) const;
  Recurrence close_block(const OpenBlock& block, const Recurrence& before) const;
  /// The states before a document's first block, one per recurrent layer: [batch, num_state_vectors, dim].
  std::vector<at::Tensor> initial_states(std::int64_t batch) const;
  /// Hidden [..., dim] -> logits [..., num_tokens].
  at::Tensor to_logits(const at::Tensor& hidden) const;
  /// tokens int64 [batch, length], block by block -> logits [batch, length, num_tokens].
  at::Tensor forward(const at::Tensor& tokens, Recurrence& recurrence) const;

  /// For the layers' own attention: null if a position bias is used instead.
  const RotaryTables* rotation() const { return config_.dynamic_position_bias ? nullptr : &rotary_; }
  const std::optional<PositionBias>& position_bias() const { return position_bias_; }

  /// True for parameters that training changes; false for the buffers among them.
  static bool is_trainable(std::string_view name);

 private:
  Layer make_layer(std::int64_t layer) const;
  const at::Tensor& parameter(const std::string& name) const;
  const StateContainer& state_container(std::size_t index) const {
    return *layers_[static_cast<std::size_t>(recurrent_layers_[index] - 1)].state_container;
  }
  /// The layer whose memory `layer` reads.
  std::size_t memory_read_at(std::size_t layer) const {
    return config_.enhanced_recurrence ? std::min(layer + 1, layers_.size() - 1) : layer;
  }
  /// The layer's own attention: q [batch, heads, n, dim_head]; k, v [batch, n, kv_dim]; past: the memory that
  /// it reads, or undefined -> [batch, n, inner].
  at::Tensor attend(const Layer& layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const at::Tensor& past, const at::Tensor& mask) const;
  /// Joins `attended` [batch, n, inner], the output of the layer's own attention, with what the normed input
  /// x [batch, n, dim] reads from states and routed memory -> [batch, n, dim].
  at::Tensor read_the_past(const Layer& layer, const at::Tensor& x, const at::Tensor& attended,
                           const std::vector<StateContainer::Reading>& readings,
                           const RoutedMemory& routed) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;
  /// The mask for Attention::attend(), [batch, heads, length, past_length + length]. If `memories_visible` is
  /// defined, memories are visible in some rows only.
  at::Tensor attention_mask(std::int64_t length, std::int64_t past_length,
                            const at::Tensor& memories_visible) const;

  ModelConfig config_;
  TensorMap parameters_;
  at::Tensor token_emb_, logits_weight_;
  LayerNorm logits_norm_;
  RotaryTables rotary_;
  std::optional<PositionBias> position_bias_;
  at::Tensor causal_mask_;                      // [block_width, block_width], true: visible
  std::vector<std::int64_t> recurrent_layers_;  // ascending, from 1
  std::vector<Layer> layers_;
};

/// New parameters, initialised as in the reference (and torch.nn), from LibTorch's default generator.
TensorMap random_parameters(const ModelConfig& config);

}  // namespace unroll
