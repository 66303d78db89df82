// LibTorch's half for NVIDIA's GPUs, loaded when the program runs: one program serves machines with and
// without.
#pragma once

#include <string>

namespace unroll {

/// Loads it where there is a GPU. Returns why there is none to compute on; empty: there is. Asks the machine
/// once.
std::string load_cuda();

}  // namespace unroll
