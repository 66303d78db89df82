// Routed memory as PackedTransformer reads it: an exact search over all segments by tiles of scores that are
// never all there at once, then each row's own few keys and values. In fp32, whatever else is computed in:
// what is close together is not to change places.
#pragma once

#include <cstdint>
#include <vector>

#include "model/cpu/packed_matrix.h"
#include "model/routed_memory.h"

namespace unroll {

class PackedRouting {
 public:
  /// RoutedAttention::read() of `count` rows of document `index` of the batch: queries [heads * dim_head] and
  /// route queries [route_dim] a row -> out [heads * dim_head].
  void read(const RoutedAttention& routed, const RoutedMemory& memory, std::int64_t index, std::int64_t count,
            Rows queries, Rows route_queries, Rows out, Machine& machine);

 private:
  struct Candidate {
    float score;
    std::int32_t place;  // of the segment, oldest 0
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
