#include "model/cpu/row_kernels.h"
#include "training/fast/tile_kernels.h"

namespace unroll {

extern const TileKernels<float> kTileKernelsFp32Avx512, kTileKernelsFp32Avx2;  // tile_kernels.cc
extern const TileKernels<std::uint16_t> kTileKernelsBf16Avx512, kTileKernelsBf16Avx2;
extern const TileLoops kTileLoopsAvx512, kTileLoopsAvx2;

template <>
const TileKernels<float>* tile_kernels<float>() {
  if (row_kernels() == nullptr) return nullptr;
  return has_avx512() ? &kTileKernelsFp32Avx512 : &kTileKernelsFp32Avx2;
}

template <>
const TileKernels<std::uint16_t>* tile_kernels<std::uint16_t>() {
  if (row_kernels() == nullptr) return nullptr;
  return has_avx512() ? &kTileKernelsBf16Avx512 : &kTileKernelsBf16Avx2;
}

const TileLoops* tile_loops() {
  if (row_kernels() == nullptr) return nullptr;
  return has_avx512() ? &kTileLoopsAvx512 : &kTileLoopsAvx2;
}

}  // namespace unroll
