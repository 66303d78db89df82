// The row programs as kernels of CUDA: groups of threads in the place of a CPU's one lane, and nothing else.
// No header of LibTorch's that is slow to compile comes in here.
#include <stdexcept>
#include <string>

#include "model/gpu/cuda_programs.h"

namespace unroll {
namespace {

constexpr int kWarp = 32, kThreads = 256;
constexpr std::int64_t kMostBlocks = 1 << 30;  // of a grid, along x

/// So many threads of a block that share a row. Up to a warp's they talk by shuffles alone.
template <int Count>
class ThreadGroup {
 public:
  template <typename Do>
  __device__ __forceinline__ void each(std::int64_t count, Do&& f) const {
    for (std::int64_t i = threadIdx.x; i < count; i += Count) f(i);
  }
  __device__ __forceinline__ float sum(float value) const {
    return total(value, [](float a, float b) { return a + b; });
  }
  __device__ __forceinline__ float max(float value) const {
    return total(value, [](float a, float b) { return ::fmaxf(a, b); });
  }
  __device__ __forceinline__ bool first() const { return threadIdx.x == 0; }

 private:
  static constexpr int kShuffled = Count < kWarp ? Count : kWarp;

  template <typename Join>
  __device__ __forceinline__ float total(float value, Join join) const {
    // Only this group's threads: others of the warp may have no row.
    const unsigned lane = (threadIdx.y * blockDim.x + threadIdx.x) % kWarp;
    const unsigned group =
        kShuffled == kWarp ? ~0U : ((1U << kShuffled) - 1) << (lane / kShuffled * kShuffled);
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

template <typename Program>
__global__ void run_rows(const Program program, std::int64_t rows) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row < rows) program(ThreadGroup<Program::kLanes>(), row);
}

}  // namespace

template <typename Program>
void launch_rows(const Program& program, std::int64_t rows, cudaStream_t stream) {
  constexpr int kRows = kThreads / Program::kLanes;  // of a block; the widest groups have one to themselves
  static_assert(kRows >= 1 && Program::kLanes * kRows == kThreads);
  const auto blocks = (rows + kRows - 1) / kRows;
  if (rows < 1 || blocks > kMostBlocks)
    throw std::runtime_error("a launch of " + std::to_string(rows) + " rows");
  run_rows<<<static_cast<unsigned>(blocks), dim3(Program::kLanes, kRows), 0, stream>>>(program, rows);
  if (const auto error = cudaGetLastError(); error != cudaSuccess)
    throw std::runtime_error(std::string("a row program was not launched: ") + cudaGetErrorString(error));
}

template void launch_rows(const ResidualNorm<float>&, std::int64_t, cudaStream_t);
template void launch_rows(const ResidualNorm<c10::BFloat16>&, std::int64_t, cudaStream_t);
template void launch_rows(const GeluGate<float>&, std::int64_t, cudaStream_t);
template void launch_rows(const GeluGate<c10::BFloat16>&, std::int64_t, cudaStream_t);
template void launch_rows(const StateUpdate<float>&, std::int64_t, cudaStream_t);
template void launch_rows(const StateUpdate<c10::BFloat16>&, std::int64_t, cudaStream_t);
template void launch_rows(const HeadCopies<float>&, std::int64_t, cudaStream_t);
template void launch_rows(const HeadCopies<c10::BFloat16>&, std::int64_t, cudaStream_t);
template void launch_rows(const Score<float>&, std::int64_t, cudaStream_t);
template void launch_rows(const Score<c10::BFloat16>&, std::int64_t, cudaStream_t);

}  // namespace unroll
