// A layer of the fast training step: norm, attention over memories, block and states, feed-forward, and their
// backward passes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "training/fast/gradients.h"
#include "training/fast/step_attention.h"
#include "training/fast/step_cell.h"
#include "training/fast/step_parts.h"

namespace unroll {

/// A block's keys and values, for reading and for writing.
struct BlockKeys {
  KeySegment segment;
  float *k_out = nullptr, *v_out = nullptr;
};

/// A layer's memories of earlier blocks, and this block's keys and values.
struct LayerPast {
  KeySegment memory;
  BlockKeys block;
  std::span<const std::int64_t> first_visible;  ///< Per lane, its first valid memory.
};

/// Scratch memory that the layers share, one after the other.
template <typename Number>
struct LayerRoom {
  Gathered<Number> d_out, d_values, d_gates, d_mid, d_entry, d_kv;  // left sides of gradients
  Gathered<Number> gated, ff_normed, joined, normed;                // right sides
  Buffer d_joined, d_entry_tiles;
  Partials gamma;
};

template <typename Number>
class StepLayer {
 public:
  StepLayer(const ModelConfig& config, const Layer& layer, const RotaryTables& rotary,
            const Gradients& gradients, StepMachine<Number>& machine);
  /// For each state that the layer reads, in the order of reads(): the cell's matrix of queries.
  void add_read(const at::Tensor& q_to_state, const Gradients& gradients);
  const std::vector<std::size_t>& reads() const { return reads_; }
  void refresh();

  /// What the backward pass needs of a block.
  struct Kept {
    Buffer x, stats, entry, joined, lse, mid, ff_stats, hidden;
    std::vector<Buffer> read_lse;
    void resize(const StepLayer& layer, BlockShape shape);
  };
  using Cells = std::span<StepCell<Number>* const>;
  using CellsKept = std::span<typename StepCell<Number>::Kept* const>;

  /// Writes the keys and values of kept.x to past.block.
  void enter(Kept& kept, const LayerPast& past, BlockShape shape);
  /// The rest of the forward pass, to next [tiles, dim, 64]. `cells` and kept cells: the whole network's.
  void leave(Kept& kept, const LayerPast& past, BlockShape shape, Cells cells, CellsKept cells_kept,
             StepAttention<Number>& attention, float* next);
  /// d [tiles, dim, 64]: from the gradient of `next` to that of the middle of the layer; then adds to the
  /// gradients of states, past.block and queries. enter_back() continues to kept.x, after past.block has its
  /// whole gradient.
  void leave_back(Kept& kept, const LayerPast& past, BlockShape shape, Cells cells, CellsKept cells_kept,
                  StepAttention<Number>& attention, LayerRoom<Number>& room, float* d);
  void enter_back(Kept& kept, const LayerPast& past, BlockShape shape, LayerRoom<Number>& room, float* d);

 private:
  std::int64_t queries() const { return inner_ * (1 + std::ssize(reads_)); }
  AttentionCall own_call(Kept& kept, const LayerPast& past, BlockShape shape, float* d_joined,
                         float* dq) const;
  AttentionCall read_call(Kept& kept, BlockShape shape, std::size_t index, const StepCell<Number>& cell,
                          typename StepCell<Number>::Kept& cell_kept, float* d_joined, float* dq) const;
  void feed_forward_back(const Kept& kept, BlockShape shape, LayerRoom<Number>& room, float* d);

  StepMachine<Number>& machine_;
  std::int64_t dim_, inner_, kv_, heads_, kv_heads_, dim_head_, ff_;
  float scale_;
  std::vector<std::size_t> reads_;
  Vector gamma_, ff_gamma_, q_scale_, k_scale_;
  std::vector<Weight<Number>> queries_;  // of the layer, then of each state that it reads
  Weight<Number> key_value_, out_, ff_values_, ff_gates_, ff_out_;
  RotaryRows rotary_;
};

extern template class StepLayer<float>;
extern template class StepLayer<std::uint16_t>;

}  // namespace unroll
