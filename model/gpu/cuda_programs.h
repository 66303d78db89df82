// Launches of row programs on a GPU. Internal to libunroll_cuda.so.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "model/gpu/row_programs.h"

namespace unroll {

/// Launches a row program for rows 0, ..., rows - 1, after the work that is in the stream. Throws
/// std::runtime_error if the launch fails; later errors appear when the device is next waited for.
template <typename Program>
void launch_rows(const Program& program, std::int64_t rows, cudaStream_t stream);

}  // namespace unroll
