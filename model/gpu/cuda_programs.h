// Launches of row programs on a GPU. Internal to libunroll_cuda.so.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "model/gpu/row_programs.h"

namespace unroll {

/// Row programs of either type of numbers, for rows 0, ..., rows - 1, behind what the stream holds. Throws
/// std::runtime_error where it is not launched; what goes wrong later shows where the device is next waited
/// for.
template <typename Program>
void launch_rows(const Program& program, std::int64_t rows, cudaStream_t stream);

}  // namespace unroll
