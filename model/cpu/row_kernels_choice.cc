#include "model/cpu/row_kernels.h"

namespace unroll {

extern const RowKernels kRowKernelsAvx512, kRowKernelsAvx2;  // row_kernels.cc

const RowKernels* row_kernels() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return &kRowKernelsAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kRowKernelsAvx2;
  return nullptr;
}

}  // namespace unroll
