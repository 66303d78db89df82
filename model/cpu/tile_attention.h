// Softmax attention in tiles of 64 queries by 256 keys that never stores all scores (FlashAttention-2, Dao
// 2023, arXiv 2307.08691) and skips tiles that a causal mask hides. Heads that share keys and values read the
// same packed ones. With kInt8, queries and keys are multiplied as 8-bit numbers with one scale each
// (SageAttention, Zhang et al. 2024, arXiv 2410.02367), probabilities and values as bf16, because 8 bits are
// too few for probabilities.
#pragma once

#include <cstdint>

#include "model/cpu/packed_matrix.h"

namespace unroll {

constexpr std::int64_t kMostInt8Dim = 256;  ///< Maximum channels per head with kInt8.

/// Packed queries [heads, positions, dim_head]; for several documents, heads is documents times heads.
class PackedQueries {
 public:
  void resize(Arithmetic arithmetic, std::int64_t heads, std::int64_t positions, std::int64_t dim_head);
  /// Different threads may set different positions, here and below.
  void set(std::int64_t head, std::int64_t position, const float* query, const RowKernels& kernels);

 private:
  friend class TileAttention;
  Arithmetic arithmetic_ = Arithmetic::kFp32;
  std::int64_t heads_ = 0, positions_ = 0, stride_ = 0,
               dim_head_ = 0;  // stride_: positions, padded to a whole tile
  Buffer values_;
  std::vector<float> scales_;  // kInt8: [heads, stride]
};

/// Packed keys and values of `heads` heads, in the order that the products need.
class PackedKeys {
 public:
  void resize(Arithmetic arithmetic, std::int64_t heads, std::int64_t positions, std::int64_t dim_head,
              const RowKernels& kernels);
  void set(std::int64_t head, std::int64_t position, const float* key, const float* value,
           const RowKernels& kernels);
  std::int64_t positions() const { return positions_; }

 private:
  friend class TileAttention;
  void set_key(std::int64_t head, std::int64_t position, const float* key, const RowKernels& kernels);
  void set_value(std::int64_t head, std::int64_t position, const float* value, const RowKernels& kernels);

  Arithmetic arithmetic_ = Arithmetic::kFp32;
  std::int64_t heads_ = 0, positions_ = 0, stride_ = 0, dim_head_ = 0;
  Buffer keys_;    // [heads, stride / 64, dim_head / k, 64, k], k = 4 in int8, 2 in bf16, else 1
  Buffer values_;  // [heads, stride / k, dim_head, k], k = 1 in fp32, else 2
  // kInt8: [heads, stride].
  std::vector<float> scales_;
  std::vector<std::int32_t> offsets_;  // what the queries' zero point adds to the sums
};

/// Destination of results: that of (document, position, head) begins at document * document_stride + position
/// * row_stride + head * head_stride and has dim_head floats.
struct AttentionOutput {
  float* data = nullptr;
  std::int64_t document_stride = 0, row_stride = 0, head_stride = 0;
};

/// Value that each distance between query and key adds to a head's logits: [heads, distances], farthest
/// first.
struct DistanceBias {
  const float* data = nullptr;  ///< Null: no bias.
  std::int64_t distances = 0;
};

class TileAttention {
 public:
  static constexpr std::int64_t kSeesAll = -1;
  /// Whether kInt8 supports heads of this size. The CPU must support kInt8 and kBf16.
  static bool computes_int8(std::int64_t dim_head);
  /// Each of `documents` has the same number of heads. Query i sees keys 0 to past + i, or all keys (then
  /// without bias). Logits: scale * query * key + bias.
  TileAttention(const PackedQueries& queries, const PackedKeys& keys, std::int64_t documents, double scale,
                std::int64_t past, DistanceBias bias = {});
  void run(const AttentionOutput& output, Machine& machine) const;

 private:
  struct Item {
    std::int64_t document, head, tile;
  };
  struct Room;  // one thread's buffers
  void run_tile(const Item& item, const AttentionOutput& output, const RowKernels& kernels, Room& room) const;
  std::int64_t visible(std::int64_t position) const;  // number of keys that the query sees
  std::int64_t rows_of(std::int64_t tile) const;      // queries of it
  /// Scores of a tile's queries and a chunk's keys; with kInt8 they are still integer sums.
  void multiply_keys(std::int64_t head, std::int64_t first, std::int64_t begin, std::int64_t width,
                     Room& room) const;
  template <typename Number>
  void run_chunk(const Item& item, std::int64_t begin, const RowKernels& kernels, Room& room) const;

  const PackedQueries& queries_;
  const PackedKeys& keys_;
  std::int64_t documents_, heads_, shared_by_;  // heads per document; heads that share keys
  float scale_;
  std::int64_t past_;
  DistanceBias bias_;
};

}  // namespace unroll
