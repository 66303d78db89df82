// model/cpu/: the block-recurrent transformer made for a CPU with AVX2 or AVX-512. Weights are packed once,
// products run in tiles, and what lies between them is fused into row loops; buffers are kept from block to
// block. What it computes is BlockRecurrentTransformer's forward_block(), in fp32, bf16 or int8.
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
  /// Whether it has every option of the configuration; else the definition itself is to run.
  static bool computes(const ModelConfig& config);
  /// `definition` on the CPU, in fp32. Copies what it needs.
  PackedTransformer(const BlockRecurrentTransformer& definition, Arithmetic arithmetic);

  const NetworkShape& shape() const override { return shape_; }
  at::Device device() const override { return at::kCPU; }
  bool has_own_threads() const override { return true; }
  at::Tensor forward_block(const at::Tensor& tokens, Recurrence& recurrence) override;
  std::function<void()> score(const at::Tensor& hidden, std::vector<Scored> blocks) override;
  at::Tensor logits(const at::Tensor& hidden) override;

 private:
  /// The cell's matrices, those that multiply the same rows on one another.
  struct Cell {
    StateContainer container;  // without its matrices
    PackedMatrix entry;        // key and value, queries to the states, queries to the block
    PackedMatrix out, gate;
    at::Tensor decay;  // [dim] sigmoid of learned_ema_beta; undefined: the LSTM's gate
  };
  struct PackedLayer {
    Layer layer;         // without its matrices
    PackedMatrix entry;  // queries, key and value, a query for each state that is read, one for routed
                         // memory; route queries, route keys
    PackedMatrix out, ff_in, ff_out;
    std::optional<Cell> cell;
    at::Tensor attention_share, ff_share;  // [dim] of the gates; undefined: sums
  };
  /// One of a block's states and what is computed of them before the layers read them.
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
  void attend(const PackedLayer& layer, Rows entry, Shape shape, const at::Tensor& past);
  void read(const PackedLayer& layer, Rows entry, Shape shape);
  /// The layer's routed memory, read, and with this block where it is full.
  void read_routed(const PackedLayer& layer, Rows entry, Shape shape, const RoutedMemory& memory);
  RoutedMemory next_routed(const PackedLayer& layer, Rows entry, Shape shape, const RoutedMemory& memory);
  /// What the layer joins: its own attention, states, routed memory, each inner_dim() wide.
  std::int64_t joined_width(const Layer& layer) const;
  void feed_forward(const PackedLayer& layer, const at::Tensor& x);
  at::Tensor write(Cell& cell, States& states, Rows entry, Shape shape);
  void gate_lstm(const Cell& cell, Rows old, Rows next, std::int64_t count);
  /// Keys and values of the block as memories hold them.
  at::Tensor block_of(Rows entry, Shape shape);
  /// Columns of rows as a tensor of its own: [batch, length, columns].
  at::Tensor columns_of(Rows rows, Shape shape, std::int64_t columns) const;

  /// Queries of all heads, each row's one behind the other; rotated where there are tables.
  void set_queries(const Attention& attention, Rows queries, Shape shape,
                   const std::optional<Tables>& tables);
  void open_keys(const Attention& attention, std::int64_t batch, std::int64_t positions);
  /// From position `at` on.
  void set_keys(const Attention& attention, Rows keys, Rows values, Shape shape, std::int64_t at,
                const std::optional<Tables>& tables);
  /// The queries to the keys; results of a row `stride` behind those of the one before, heads' by
  /// `head_stride`.
  void run_attention(const Attention& attention, Shape shape, std::int64_t past, Rows output,
                     std::int64_t head_stride, DistanceBias bias = {});
  /// `rows` as the left side of the next product; normalised where there is a norm.
  void activate(Rows rows, std::int64_t count, std::int64_t columns, const LayerNorm* norm = nullptr);
  /// The last layer's output [rows, dim], normalised.
  void activate_hidden(const at::Tensor& hidden);
  /// The product, added to x or blended into it.
  void add_product(const Activations& activations, const PackedMatrix& weight, const at::Tensor& x,
                   const at::Tensor& share);
  /// Of what was activated.
  Rows product(const PackedMatrix& weight, Buffer& out);

  ModelConfig config_;
  NetworkShape shape_;
  Arithmetic arithmetic_, attention_arithmetic_;
  Machine machine_;
  at::Tensor token_emb_;
  std::vector<PackedLayer> layers_;
  std::vector<std::size_t> cell_layers_;  // of each state
  std::vector<at::Tensor> initial_states_;
  std::optional<Tables> query_tables_, key_tables_;  // or
  at::Tensor position_bias_;                         // [heads, distances], the farthest first
  LayerNorm logits_norm_;
  PackedLogits logits_;

  // Room that is used again.
  Activations activations_, gated_;
  Buffer entry_, joined_, gated_rows_, state_rows_;
  PackedQueries queries_;
  PackedKeys keys_;
  PackedRouting routing_;
  std::vector<States> states_;
};

}  // namespace unroll
