// Launches the row programs as CUDA kernels; their code is in row_programs.h and thread_groups.h. Includes no
// LibTorch header that is slow to compile.
#include <stdexcept>
#include <string>

#include "model/gpu/cuda_programs.h"
#include "model/gpu/thread_groups.h"

namespace unroll {
namespace {

constexpr std::int64_t kMostBlocks = 1 << 30;  // per launch

template <typename Program>
__global__ void run_rows(const Program program, std::int64_t rows) {
  Grid<Program>::run(program, rows);
}

}  // namespace

template <typename Program>
void launch_rows(const Program& program, std::int64_t rows, cudaStream_t stream) {
  using Launched = Grid<Program>;
  const auto blocks = Launched::blocks(rows);
  if (rows < 1 || blocks > kMostBlocks)
    throw std::runtime_error("a launch of " + std::to_string(rows) + " rows");
  run_rows<<<static_cast<unsigned>(blocks), dim3(Launched::kThreads, Launched::kRows), 0, stream>>>(program,
                                                                                                    rows);
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
