// The block-recurrent transformer (Hutchins et al. 2022, arXiv 2203.07852) as PyPI
// block-recurrent-transformer-pytorch 0.4.4 computes it. Parameters carry that package's names; gradients
// come from LibTorch's autograd.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/config.h"
#include "model/rotary.h"
#include "model/safetensors.h"

namespace unroll {

/// What one block leaves for the next. Empty before the first block.
struct Recurrence {
  std::vector<at::Tensor> memories;  ///< One a layer: [2 (k, v), batch, positions, kv_dim], before rotation.
  std::vector<at::Tensor>
      states;  ///< One a recurrent layer, in order of layer: [batch, num_state_vectors, dim].

  /// bool [batch]: rows whose memories count; undefined: all. Rows of a training batch start documents at
  /// different times.
  at::Tensor memories_visible;

  /// The same values cut off from the graph that made them: the border of truncated back-propagation.
  Recurrence detached() const;
  /// One row of the batch, as a batch of one that holds nothing of the others.
  Recurrence row(std::int64_t index) const;
};

/// A batch of what has equal shapes, in order.
Recurrence join(std::span<const Recurrence> rows);

/// Bias-less layer norm; `beta` is a buffer of zeros that the reference keeps in its checkpoints.
struct LayerNorm {
  at::Tensor gamma, beta;  // [dim]
  at::Tensor operator()(const at::Tensor& x) const;
};

/// Softmax attention with a single key/value head (multi-query) or one for each head, optionally with
/// normalised queries and keys.
struct Attention {
  std::optional<at::Tensor> q_scale, k_scale;  // [dim_head], both or none
  double scale = 1;
  std::int64_t kv_heads = 1;
  /// q [batch, heads, n, dim_head], k and v [batch, m, kv_dim], mask [n, m] true where visible -> as q.
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const RotaryTables* rotary, const std::optional<at::Tensor>& mask) const;
  /// The parts of operator(): normalised where the layer does that, and rotated, `behind` positions before
  /// the window's end; keys then are [batch, kv_heads, m, dim_head]. attend() is what is left to do.
  at::Tensor ready_queries(const at::Tensor& q, const RotaryTables* rotary, std::int64_t behind = 0) const;
  at::Tensor ready_keys(const at::Tensor& k, const RotaryTables* rotary, std::int64_t behind = 0) const;
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const std::optional<at::Tensor>& mask) const;
};

/// The recurrent cell of a layer: section 3.2 of the paper, with its fixed gate.
struct StateContainer {
  LayerNorm state_norm;
  at::Tensor q_to_state, q_from_state, state_to_q;  // [inner, dim]
  at::Tensor state_to_kv;                           // [2 * kv_dim, dim]
  at::Tensor init_state, state_pos_ids;             // [num_state_vectors, dim]
  at::Tensor to_state_out;                          // [dim, 2 * inner]
  at::Tensor gate_weight, gate_bias;                // [dim, dim], [dim]
  at::Tensor learned_ema_beta;                      // [dim]
  Attention to_state_cross_attn, state_self_attn, from_state_cross_attn;
  std::int64_t heads = 0;

  /// What a read computes and the write that follows needs again.
  struct Reading {
    at::Tensor states, normed, k, v;
  };
  /// `states` [batch, num_state_vectors, dim].
  Reading prepare(const at::Tensor& states) const;
  /// x [batch, n, dim], the layer's normed input -> [batch, n, inner].
  at::Tensor read(const at::Tensor& x, const Reading& reading) const;
  /// k, v [batch, n, kv_dim] of the block, unrotated -> the next states.
  at::Tensor write(const Reading& reading, const at::Tensor& k, const at::Tensor& v) const;
};

struct Layer {
  LayerNorm norm;
  at::Tensor to_q, to_kv, to_out;
  Attention attn;
  std::optional<StateContainer> state_container;
  std::vector<std::size_t> reads_states;  // indices into Recurrence::states
  LayerNorm ff_norm;
  at::Tensor ff_in, ff_out;            // [2 * ff_inner, dim], [dim, ff_inner]
  at::Tensor attention_gate, ff_gate;  // [dim]; undefined: residual sums
  at::Tensor compress_weight,
      compress_bias;  // grouped convolution over k and v; undefined without compression
};

/// A block that comes in pieces, a token at a time where one is drawn from what the others say.
struct OpenBlock {
  std::int64_t memory_length = 0, length = 0;  ///< Positions: of the memories, of the block so far.
  std::vector<StateContainer::Reading> readings;
  /// One a layer, of memory_length + block_width positions: [batch, kv_heads, positions, dim_head],
  /// normalised and rotated, and [batch, positions, kv_dim].
  std::vector<at::Tensor> keys, values;
  std::vector<at::Tensor> block;  ///< One a layer: [2 (k, v), batch, block_width, kv_dim], before rotation.
};

class BlockRecurrentTransformer {
 public:
  /// Shares the tensors of `parameters` (names and shapes as expected_parameters() in checkpoint.h says).
  BlockRecurrentTransformer(ModelConfig config, TensorMap parameters);

  const ModelConfig& config() const { return config_; }
  const TensorMap& parameters() const { return parameters_; }
  at::Device device() const { return token_emb_.device(); }
  /// What a faster form of the same network is made of. State containers count from the bottom, as states do.
  const std::vector<Layer>& layers() const { return layers_; }
  const LayerNorm& logits_norm() const { return logits_norm_; }
  const RotaryTables& rotary() const { return rotary_; }

  /// One block: tokens int64 [batch, length <= block_width] -> hidden [batch, length, dim]. `recurrence`
  /// moves on: states always, memories when the block is full.
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) const;
  /// The same block in pieces, without gradients: what each piece of tokens [batch, length] gives is what
  /// forward_block() gives at its place, but for the order of sums. `before` as forward_block() takes it;
  /// close_block() is what it leaves.
  OpenBlock open_block(const Recurrence& before, std::int64_t batch) const;
  at::Tensor extend_block(const at::Tensor& tokens, OpenBlock& block) const;
  Recurrence close_block(const OpenBlock& block, const Recurrence& before) const;
  /// What the states are before a document's first block, one a recurrent layer: [batch, num_state_vectors,
  /// dim].
  std::vector<at::Tensor> initial_states(std::int64_t batch) const;
  /// Hidden [..., dim] -> logits [..., num_tokens].
  at::Tensor to_logits(const at::Tensor& hidden) const;
  /// tokens int64 [batch, length], block by block -> logits [batch, length, num_tokens].
  at::Tensor forward(const at::Tensor& tokens, Recurrence& recurrence) const;

  /// True for what training changes; false for the buffers among parameters().
  static bool is_trainable(std::string_view name);

 private:
  Layer make_layer(std::int64_t layer) const;
  StateContainer make_state_container(const std::string& prefix, bool qk_rmsnorm) const;
  Attention make_attention(const std::string& prefix, bool qk_rmsnorm) const;
  LayerNorm make_norm(const std::string& prefix) const;
  const at::Tensor& parameter(const std::string& name) const;
  const StateContainer& state_container(std::size_t index) const {
    return *layers_[static_cast<std::size_t>(recurrent_layers_[index] - 1)].state_container;
  }
  /// x [batch, n, dim] normed; k, v [batch, n, kv_dim]; past: this layer's memory or undefined -> [batch,
  /// n, dim].
  at::Tensor attend(const Layer& layer, const at::Tensor& x, const at::Tensor& k, const at::Tensor& v,
                    const at::Tensor& past, const at::Tensor& memories_visible,
                    const std::vector<StateContainer::Reading>& readings) const;
  /// Joins `attended` [batch, n, inner], the layer's own attention, with what x reads of the states ->
  /// [batch, n, dim].
  at::Tensor read_states(const Layer& layer, const at::Tensor& x, const at::Tensor& attended,
                         const std::vector<StateContainer::Reading>& readings) const;
  at::Tensor feed_forward(const Layer& layer, const at::Tensor& x) const;
  /// true where visible: [length, past_length + length], or [batch, 1, ...] where memories count in some rows
  /// only.
  at::Tensor attention_mask(std::int64_t length, std::int64_t past_length,
                            const at::Tensor& memories_visible) const;

  ModelConfig config_;
  TensorMap parameters_;
  at::Tensor token_emb_, logits_weight_;
  LayerNorm logits_norm_;
  RotaryTables rotary_;
  at::Tensor causal_mask_;                      // [block_width, block_width] true where visible
  std::vector<std::int64_t> recurrent_layers_;  // ascending, from 1
  std::vector<Layer> layers_;
};

/// A layer's memory after a full block. `past`: the one before, undefined at a document's start; `block` [2
/// (k, v), batch, block_width, kv_dim].
at::Tensor next_memory(const ModelConfig& config, const Layer& layer, const at::Tensor& past,
                       const at::Tensor& block);

/// Fresh parameters, drawn as the reference (and torch.nn) draws them, from LibTorch's default generator.
TensorMap random_parameters(const ModelConfig& config);

}  // namespace unroll
