// model/cpu/: the block-recurrent transformer for CPUs. Weights are packed once, products run in tiles, the
// operations between them are fused into row loops, and buffers are reused from block to block. Computes
// BlockRecurrentTransformer::forward_block() in fp32, bf16 or int8.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "model/cpu/packed_logits.h"
#include "model/cpu/packed_matrix.h"
#include "model/cpu/packed_routing.h"
#include "model/cpu/tile_attention.h"
#include "model/network.h"

namespace unroll {

class PackedTransformer final : public Network {
 public:
  /// Whether it supports every option of the configuration. If not, use the definition.
  static bool computes(const ModelConfig& config);
  /// `definition` is on the CPU, in fp32. Copies what it needs.
  PackedTransformer(const BlockRecurrentTransformer& definition, Arithmetic arithmetic);

  const NetworkShape& shape() const override { return shape_; }
  at::Device device() const override { return at::kCPU; }
  bool has_own_threads() const override { return true; }
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) override {
    BlockStart none;
    return continue_block(tokens, recurrence, none);
  }
  bool continues_blocks() const override { return shape_.routed_blocks == 0; }
  at::Tensor continue_block(const at::Tensor& tokens, Recurrence& recurrence, BlockStart& start) override;
  std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) override;
  at::Tensor logits(const at::Tensor& hidden) override;

 private:
  /// The cell's matrices; those that multiply the same rows are concatenated.
  struct Cell {
    StateContainer container;  // without its matrices
    PackedMatrix entry;        // key and value, queries to the states, queries to the block
    PackedMatrix out, gate;
    at::Tensor decay;  // [dim] sigmoid of learned_ema_beta; undefined: LSTM gate
  };
  struct PackedLayer {
    Layer layer;         // without its matrices
    PackedMatrix entry;  // queries, key and value, queries to each state and to routed
                         // memory; route queries, route keys
    PackedMatrix out, ff_in, ff_out;
    std::optional<Cell> cell;
    at::Tensor attention_share, ff_share;  // [dim], from the gates; undefined: residual sums
  };
  /// One of a block's states, and what is computed from it before the layers read it.
  struct States {
    at::Tensor before;  // [batch, num_state_vectors, dim]
    Buffer entry;       // [batch * num_state_vectors, padded outputs of Cell::entry]
  };
  struct Shape {
    std::int64_t batch, length;
    std::int64_t rows() const { return batch * length; }
  };
  using Tables = RotaryTables::Tables;

  PackedLayer pack(const BlockRecurrentTransformer& definition, const Layer& layer) const;
  Cell pack(const StateContainer& container) const;
  Cell& cell(std::size_t state) { return *layers_[cell_layers_[state]].cell; }

  /// tokens [batch, length] -> [batch, length, dim].
  at::Tensor embed(const at::Tensor& tokens);
  void prepare(States& states, Cell& cell);
  /// `block`: keys and values of all of the block, of which `shape` has the last positions.
  void attend(const PackedLayer& layer, Rows entry, Shape shape, const at::Tensor& past,
              const at::Tensor& block);
  void read(const PackedLayer& layer, Rows entry, Shape shape);
  /// Reads the layer's routed memory, and appends this block to it if the block is full.
  void read_routed(const PackedLayer& layer, Rows entry, Shape shape, const RoutedMemory& memory);
  RoutedMemory next_routed(const PackedLayer& layer, Rows entry, Shape shape, const RoutedMemory& memory,
                           const at::Tensor& block);
  /// Columns that the layer joins: its own attention, states, routed memory, inner_dim() each.
  std::int64_t joined_width(const Layer& layer) const;
  void feed_forward(const PackedLayer& layer, const at::Tensor& x);
  at::Tensor write(Cell& cell, States& states, const at::Tensor& block);
  void gate_lstm(const Cell& cell, Rows old, Rows next, std::int64_t count);
  /// Keys and values of the block in the layout of memories: those of `start`, if there are, and of `entry`.
  at::Tensor block_of(Rows entry, Shape shape, const at::Tensor& start);
  /// Copies columns of rows to a tensor: [batch, length, columns].
  at::Tensor columns_of(Rows rows, Shape shape, std::int64_t columns) const;

  /// Sets the queries of all heads, which are consecutive in a row. If there are tables, rotates them as the
  /// positions before `behind` others at the tables' end.
  void set_queries(const Attention& attention, Rows queries, Shape shape, const std::optional<Tables>& tables,
                   std::int64_t behind = 0);
  void open_keys(const Attention& attention, std::int64_t batch, std::int64_t positions);
  /// Sets keys and values from position `at` on, of rows of which those of a document follow those of the one
  /// before, or of a memory [2 (k, v), batch, positions, kv_dim]. Tables and `behind` as for set_queries().
  void set_keys(const Attention& attention, Rows keys, Rows values, Shape shape);
  void set_keys(const Attention& attention, const at::Tensor& memory, std::int64_t at = 0,
                const std::optional<Tables>& tables = std::nullopt, std::int64_t behind = 0);
  void set_keys(const Attention& attention, Rows keys, Rows values, std::int64_t document_stride, Shape shape,
                std::int64_t at, const std::optional<Tables>& tables, std::int64_t behind);
  /// Attends with the queries to the keys. Results are `stride` apart per row and `head_stride` apart per
  /// head.
  void run_attention(const Attention& attention, Shape shape, std::int64_t past, Rows output,
                     std::int64_t head_stride, DistanceBias bias = {});
  /// Sets `rows` as the left side of the next product, normalised if there is a norm.
  void activate(Rows rows, std::int64_t count, std::int64_t columns, const LayerNorm* norm = nullptr);
  /// The last layer's output [rows, dim], normalised.
  void activate_hidden(const at::Tensor& hidden);
  /// Adds the product to x, or blends it into x.
  void add_product(const Activations& activations, const PackedMatrix& weight, const at::Tensor& x,
                   const at::Tensor& share);
  /// Multiplies the rows that were activated.
  Rows product(const PackedMatrix& weight, Buffer& out);

  ModelConfig config_;
  NetworkShape shape_;
  Arithmetic arithmetic_, attention_arithmetic_;
  Machine machine_;
  at::Tensor token_emb_;
  std::vector<PackedLayer> layers_;
  std::vector<std::size_t> cell_layers_;  // layer of each state
  std::vector<at::Tensor> initial_states_;
  std::optional<Tables> query_tables_, key_tables_;  // or instead:
  at::Tensor position_bias_;                         // [heads, distances], the farthest first
  LayerNorm logits_norm_;
  PackedLogits logits_;

  // Reused buffers.
  Activations activations_, gated_;
  Buffer entry_, joined_, gated_rows_, state_rows_;
  PackedQueries queries_;
  PackedKeys keys_;
  PackedRouting routing_;
  std::vector<States> states_;
};

}  // namespace unroll
