// Threads of a GPU that share a row: the lanes (row_programs.h) that kernels run with. Written with CUDA's
// own names (threadIdx, __shfl_xor_sync, ...), which nvcc knows; tests/model/gpu/emulated_gpu.h makes the
// same of a CPU's threads.
#pragma once

#include <cstdint>

#include "model/gpu/row_programs.h"

namespace unroll {

inline constexpr int kWarp = 32, kBlockThreads = 256;

/// `Count` threads of a block, along x. Up to a warp's they talk by shuffles alone; more are a whole block.
template <int Count>
class ThreadGroup {
 public:
  template <typename Do>
  UNROLL_LANE void each(std::int64_t count, Do&& f) const {
    for (std::int64_t i = threadIdx.x; i < count; i += Count) f(i);
  }
  UNROLL_LANE float sum(float value) const {
    return total(value, [](float a, float b) { return a + b; });
  }
  UNROLL_LANE float max(float value) const {
    return total(value, [](float a, float b) { return ::fmaxf(a, b); });
  }
  UNROLL_LANE bool first() const { return threadIdx.x == 0; }

 private:
  static constexpr int kShuffled = Count < kWarp ? Count : kWarp;

  template <typename Join>
  UNROLL_LANE float total(float value, Join join) const {
    // Only this group's threads: others of the warp may have no row.
    const unsigned lane = (threadIdx.y * blockDim.x + threadIdx.x) % kWarp;
    const unsigned group =
        kShuffled == kWarp ? ~0U : ((1U << (kShuffled % kWarp)) - 1) << (lane / kShuffled * kShuffled);
    for (int distance = kShuffled / 2; distance > 0; distance /= 2)
      value = join(value, __shfl_xor_sync(group, value, distance));
    if constexpr (Count > kWarp) {
      __shared__ float parts[Count / kWarp];
      __syncthreads();  // what was there before has been read
      if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
      __syncthreads();
      value = parts[0];
      for (int i = 1; i < Count / kWarp; ++i) value = join(value, parts[i]);
    }
    return value;
  }
};

/// What a program is launched as: a group along x, so many of them along y, and blocks of that.
template <typename Program>
struct Grid {
  static constexpr int kLanes = Program::kLanes, kRows = kBlockThreads / kLanes;
  static_assert(kLanes * kRows == kBlockThreads && (kLanes <= kWarp || kRows == 1));
  static std::int64_t blocks(std::int64_t rows) { return (rows + kRows - 1) / kRows; }

  /// What each thread does.
  static UNROLL_LANE void run(const Program& program, std::int64_t rows) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row < rows) program(ThreadGroup<kLanes>(), row);
  }
};

}  // namespace unroll
