#include "model/cpu/row_kernels.h"

namespace unroll {

extern const RowKernels kRowKernelsAvx512, kRowKernelsAvx2;  // row_kernels.cc

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const RowKernels* row_kernels() {
  if (has_avx512()) return &kRowKernelsAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kRowKernelsAvx2;
  return nullptr;
}

}  // namespace unroll
