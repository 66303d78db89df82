// Loads LibTorch's CUDA library and this project's at run time: one program serves machines with and without
// a GPU.
#pragma once

#include <memory>
#include <string>

#include "model/gpu/row_machine.h"

namespace unroll {

/// Loads LibTorch's library if there is a GPU. Returns the reason if there is none to compute on, otherwise
/// an empty string. Asks the machine once.
std::string load_cuda();

struct CudaKernels {
  std::unique_ptr<RowMachine> machine;
  std::string problem;  ///< Why `machine` is null.
};
/// Loads libunroll_cuda.so, from beside the program or from where it is installed. Call after load_cuda().
CudaKernels load_cuda_kernels();

}  // namespace unroll
