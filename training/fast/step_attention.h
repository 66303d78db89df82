// Attention of a training step and its derivative, in tiles of 64 queries and without a matrix of all scores
// (Dao et al. 2022, arXiv 2205.14135). Scores are stored by key, scores[key * 64 + query], so that softmax
// works along vectors and nothing between the products is transposed.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "training/fast/step_parts.h"

namespace unroll {

/// Keys and values before norm and rotation: [lanes, positions, kv_heads * dim_head] each. Gradients are
/// added; null if not needed.
struct KeySegment {
  const float *k = nullptr, *v = nullptr;
  float *dk = nullptr, *dv = nullptr;
  std::int64_t positions = 0;
};

/// Tables [dim_head, stride], starting at the first query and at the first key.
struct Rotation {
  const float *q_cosine = nullptr, *q_sine = nullptr, *k_cosine = nullptr, *k_sine = nullptr;
  std::int64_t stride = 0;
};

struct AttentionCall {
  std::int64_t lanes = 0, heads = 0, kv_heads = 0, dim_head = 0;
  std::int64_t query_tiles = 0;  ///< Per lane.
  float scale = 1;
  Vector q_scale, k_scale;  ///< Of normalised queries and keys; without values: not normalised.
  Rotation rotation;        ///< Without tables: no rotation.
  /// Query i attends to keys up to past + i, or to all.
  bool causal = false;
  std::int64_t past = 0;
  std::span<const std::int64_t> first_visible;  ///< Per lane, its first visible key; empty: all.
  std::array<KeySegment, 2> segments;           ///< In this order.

  /// Head h of tile t in lane l begins at (l * query_tiles + t) * q_stride + h * dim_head * 64.
  const float* q = nullptr;
  float* dq = nullptr;
  std::int64_t q_stride = 0;
  /// The same with out_stride, and out_head features between heads.
  float* out = nullptr;
  const float* d_out = nullptr;
  std::int64_t out_stride = 0, out_head = 0;
  float* lse = nullptr;  ///< [tiles, heads, 64]: log-sum-exp, passed from forward() to backward().

  std::int64_t keys() const { return segments[0].positions + segments[1].positions; }
};

template <typename Number>
class StepAttention {
 public:
  explicit StepAttention(StepMachine<Number>& machine) : machine_(machine) {}
  /// q -> out, lse.
  void forward(const AttentionCall& call);
  /// d_out -> dq; adds to the gradients of segments and scales.
  void backward(const AttentionCall& call);

 private:
  struct Item {
    std::int64_t lane, head, tile;
  };
  /// A tile of key positions of one segment and head.
  struct KeyTile {
    std::int64_t lane, head;
    const KeySegment* segment;
    std::int64_t first, count;  // in the segment
    std::int64_t position;      // of the first, among all keys
  };
  template <typename Work>
  void each_key_tile(const AttentionCall& call, const Work& work);
  void set_keys(const AttentionCall& call, bool backward);
  void ready_key_tile(const AttentionCall& call, const KeyTile& tile, float* raw, float* out);
  void ready_queries(const AttentionCall& call, const Item& item, float* out) const;
  std::int64_t visible_end(const AttentionCall& call, std::int64_t tile) const;
  void forward_tile(const AttentionCall& call, const Item& item, Room& room);
  void backward_tile(const AttentionCall& call, const Item& item, Room& room);
  void add_key_gradients(const AttentionCall& call);

  /// Offset of head `head` of a lane in k_rows_ and v_rows_, and in k_turned_ and v_turned_.
  std::int64_t rows_at(const AttentionCall& call, std::int64_t lane, std::int64_t head) const {
    return (lane * call.kv_heads + head) * key_stride_ * depth_of<Number>(call.dim_head);
  }
  std::int64_t turned_at(const AttentionCall& call, std::int64_t lane, std::int64_t head) const {
    return (lane * call.kv_heads + head) * key_stride_ * call.dim_head;
  }

  StepMachine<Number>& machine_;
  std::int64_t key_stride_ = 0;
  Buffer k_rows_, v_rows_;      // [lanes, kv_heads, key_stride, dim_head]
  Buffer k_turned_, v_turned_;  // [lanes, kv_heads, dim_head, key_stride]
  Buffer dk_, dv_;              // [lanes, heads, key_stride, dim_head]
  Partials dq_scale_, dk_scale_;
};

extern template class StepAttention<float>;
extern template class StepAttention<std::uint16_t>;

}  // namespace unroll
