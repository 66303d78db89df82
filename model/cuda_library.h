// LibTorch's half for NVIDIA's GPUs, and this project's, loaded when the program runs: one program serves
// machines with and without.
#pragma once

#include <memory>
#include <string>

#include "model/gpu/row_machine.h"

namespace unroll {

/// Loads it where there is a GPU. Returns why there is none to compute on; empty: there is. Asks the machine
/// once.
std::string load_cuda();

struct CudaKernels {
  std::unique_ptr<RowMachine> machine;
  std::string problem;  ///< Why there is none.
};
/// From libunroll_cuda.so, which lies beside the program or where it is installed. After load_cuda().
CudaKernels load_cuda_kernels();

}  // namespace unroll
