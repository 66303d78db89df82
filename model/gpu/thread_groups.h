// Groups of GPU threads that share a row (row_programs.h). Written with CUDA's own names (threadIdx,
// __shfl_xor_sync, ...), which nvcc provides; tests/model/gpu/emulated_gpu.h provides them with CPU threads.
#pragma once

#include <cstdint>

#include "model/gpu/row_programs.h"

namespace unroll {

inline constexpr int kWarp = 32, kBlockThreads = 256;

// Several of a thread's loads are then on their way at the same time.
#ifdef __CUDACC__
#define UNROLL_UNROLLED _Pragma("unroll 4")
#else
#define UNROLL_UNROLLED
#endif

/// `Count` threads of a block, along x. Groups up to a warp communicate by shuffles; a larger group is a
/// whole block.
template <int Count>
class ThreadGroup {
 public:
  template <typename Do>
  UNROLL_DEVICE void each(std::int64_t count, Do&& f) const {
    UNROLL_UNROLLED
    for (std::int64_t i = threadIdx.x; i < count; i += Count) f(i);
  }
  UNROLL_DEVICE float sum(float value) const {
    return total(value, [](float a, float b) { return a + b; });
  }
  UNROLL_DEVICE float max(float value) const {
    return total(value, [](float a, float b) { return ::fmaxf(a, b); });
  }
  UNROLL_DEVICE bool first() const { return threadIdx.x == 0; }

 private:
  static constexpr int kShuffled = Count < kWarp ? Count : kWarp;

  template <typename Join>
  UNROLL_DEVICE float total(float value, Join join) const {
    // Only this group's threads take part: others of the warp may have no row.
    const unsigned lane = (threadIdx.y * blockDim.x + threadIdx.x) % kWarp;
    const unsigned group =
        kShuffled == kWarp ? ~0U : ((1U << (kShuffled % kWarp)) - 1) << (lane / kShuffled * kShuffled);
    for (int distance = kShuffled / 2; distance > 0; distance /= 2)
      value = join(value, __shfl_xor_sync(group, value, distance));
    if constexpr (Count > kWarp) {
      __shared__ float parts[Count / kWarp];
      __syncthreads();  // the previous parts have been read
      if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
      __syncthreads();
      value = parts[0];
      for (int i = 1; i < Count / kWarp; ++i) value = join(value, parts[i]);
    }
    return value;
  }
};

/// Launch configuration of a program: groups along x, several of them along y, in blocks.
template <typename Program>
struct Grid {
  static constexpr int kThreads = Program::kThreads, kRows = kBlockThreads / kThreads;
  static_assert(kThreads * kRows == kBlockThreads && (kThreads <= kWarp || kRows == 1));
  static std::int64_t blocks(std::int64_t rows) { return (rows + kRows - 1) / kRows; }

  /// The work of each thread.
  static UNROLL_DEVICE void run(const Program& program, std::int64_t rows) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kRows + threadIdx.y;
    if (row < rows) program(ThreadGroup<kThreads>(), row);
  }
};

}  // namespace unroll
