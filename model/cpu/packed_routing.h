// Routed memory for PackedTransformer: an exact search over all segments by tiles of scores, then each row's
// own few keys and values. Always in fp32, because rounding could change the order of similar scores.
#pragma once

#include <cstdint>
#include <vector>

#include "model/cpu/packed_matrix.h"
#include "model/routed_memory.h"

namespace unroll {

class PackedRouting {
 public:
  /// RoutedAttention::read() for `count` rows of document `index` of the batch: queries [heads * dim_head]
  /// and route queries [route_dim] per row -> out [heads * dim_head].
  void read(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index, std::int64_t count,
            Rows queries, Rows route_queries, Rows out, Machine& machine);

 private:
  struct Candidate {
    float score;
    std::int32_t place;  // index of the segment; the oldest is 0
  };
  void search(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
              std::int64_t count, Rows route_queries, Machine& machine);
  void choose(const float* scores, std::int64_t segment, std::int64_t columns, const RowKernels& kernels,
              Candidate* best, float* least) const;
  void attend(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index,
              const float* queries, const Candidate* candidates, float* out, const RowKernels& kernels,
              Buffer& room) const;

  Activations activations_;
  std::int64_t top_ = 0;
  std::vector<Candidate> chosen_;  // [count, top], best first
};

}  // namespace unroll
