// model/gpu/: the block-recurrent transformer for GPUs. Products with weights are LibTorch's, in bf16;
// attention, including memories and states, is LibTorch's flash attention; the operations between them are
// fused into row programs. A full block of few documents is one recorded graph. Computes
// BlockRecurrentTransformer::forward_block().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "model/gpu/block_recordings.h"
#include "model/gpu/row_operators.h"
#include "model/network.h"

namespace unroll {

/// On a GPU, a product's sums may be split differently for another number of documents: a row's numbers
/// depend, by rounding, on how many others are in the batch (not on their content).
class GpuTransformer final : public Network {
 public:
  /// Whether it supports every option of the configuration. If not, use the definition.
  static bool computes(const ModelConfig& config);
  /// `numbers`: type that matrices multiply, bf16 or fp32. Copies the matrices, shares the rest with
  /// `definition`, and runs on its device; `machine` is that device's. `record`: whether full blocks are
  /// recorded.
  GpuTransformer(const BlockRecurrentTransformer& definition, std::unique_ptr<RowMachine> machine,
                 at::ScalarType numbers, bool record);

  const NetworkShape& shape() const override { return shape_; }
  at::Device device() const override { return token_emb_.device(); }
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) override;
  std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) override;
  at::Tensor logits(const at::Tensor& hidden) override;
  /// Why full blocks are not recorded although `record` was set; empty if they are.
  std::string recording_failure() const { return recordings_ ? recordings_->failure() : ""; }
  /// RowMachine::lost().
  std::string device_lost() const { return machine_->lost(); }

 private:
  /// A recurrent layer's cell.
  struct Cell {
    StateContainer container;  // norm, scales, position embedding
    at::Tensor entry;          // [2 * kv + 2 * inner, dim] key and value, queries to the states, to the block
    at::Tensor out, gate;      // [dim, 2 * inner], [dim, dim]
    at::Tensor bias, share;    // [dim]; share: sigmoid of learned_ema_beta
  };
  struct FusedLayer {
    Layer layer;       // norms, scales, compression
    at::Tensor entry;  // [inner + 2 * kv + reads * inner, dim] queries, key and value, queries to states
    at::Tensor out;    // [dim, inner * (1 + reads)]
    at::Tensor ff_in, ff_out;              // [2 * padded, dim], [dim, padded]
    at::Tensor attention_share, ff_share;  // [dim], from the gates; undefined: residual sums
    std::optional<Cell> cell;
  };
  struct Shape {
    std::int64_t batch, length;
  };
  /// A state and what is computed from it before the layers read it. [batch, count, heads, dim_head] except
  /// for `before`.
  struct ReadyState {
    at::Tensor before;  // fp32 [batch, num_state_vectors, dim]
    at::Tensor read_keys, own_keys, values, own_queries, block_queries;
  };

  FusedLayer fuse(const BlockRecurrentTransformer& definition, const Layer& layer) const;
  Cell fuse(const StateContainer& container) const;

  /// Computes the whole block on the device.
  at::Tensor run_block(const at::Tensor& tokens, Recurrence& recurrence) const;
  ReadyState prepare(const Cell& cell, const at::Tensor& before) const;
  /// Joins the layer's own attention and what it reads from the states: [rows, inner * (1 + reads)].
  at::Tensor attend(const FusedLayer& layer, const at::Tensor& entry, Shape shape, const at::Tensor& past,
                    const std::vector<ReadyState>& states) const;
  /// Reads a state: queries [batch, length, inner] -> [rows, inner].
  at::Tensor read(std::size_t state, const at::Tensor& queries, const ReadyState& ready) const;
  /// Updates a state by the block's keys and values, [batch, length, kv] each -> the next state.
  at::Tensor write(const Cell& cell, const at::Tensor& keys, const at::Tensor& values,
                   const ReadyState& ready) const;
  /// [batch, length, 2 * kv] -> [2, batch, length, kv], the layout of Recurrence.
  static at::Tensor memory_of(const at::Tensor& keys_and_values);
  /// Softmax attention: q [batch, length, heads, dim_head], k and v [batch, positions, kv_heads, dim_head] ->
  /// shape of q. `causal`: the queries are the last positions, and see no later ones.
  at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                       bool causal) const;
  at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, double scale,
                             bool causal) const;
  /// Where documents of `length` positions begin, and where the last ends: int32 [batch + 1].
  at::Tensor borders(std::int64_t batch, std::int64_t length) const;
  /// View of columns of rows as [batch, length, columns].
  static at::Tensor columns(const at::Tensor& rows, Shape shape, std::int64_t begin, std::int64_t count);
  at::Tensor heads_of(const at::Tensor& columns) const;
  at::Tensor room(Shape shape, std::int64_t heads) const;
  /// Tables for `length` positions that end `behind` positions before the window's end; undefined if nothing
  /// is rotated.
  static RotaryTables::Tables part(const RotaryTables::Tables& tables, std::int64_t length,
                                   std::int64_t behind);
  at::Tensor to_device(const at::Tensor& tensor) const;
  /// hidden [rows, dim] -> [rows, num_tokens padded].
  at::Tensor padded_logits(const at::Tensor& hidden) const;
  /// What needs logits in fp32, of hidden [length, dim].
  void append_from_logits(const at::Tensor& hidden, const Scored& block) const;

  ModelConfig config_;
  NetworkShape shape_;
  std::unique_ptr<RowMachine> machine_;
  RowOperators rows_;
  at::Tensor token_emb_;
  std::vector<FusedLayer> layers_;
  std::vector<std::size_t> cell_layers_;    // layer of each state
  std::vector<at::Tensor> initial_states_;  // [1, num_state_vectors, dim]
  RotaryTables::Tables query_tables_, key_tables_;
  LayerNorm logits_norm_;
  at::Tensor logits_;                                   // [num_tokens, padded with zeros, dim]
  std::optional<BlockRecordings> recordings_;           // after machine_, so that it is destroyed first
  mutable std::map<std::int64_t, at::Tensor> borders_;  // by length
};

}  // namespace unroll
