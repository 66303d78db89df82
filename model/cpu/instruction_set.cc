#include "model/cpu/instruction_set.h"

namespace unroll {

#ifdef __x86_64__
#define UNROLL_CPU_HAS(feature) (__builtin_cpu_supports(feature) != 0)
#else
#define UNROLL_CPU_HAS(feature) false
#endif

InstructionSet instruction_set() {
  if (UNROLL_CPU_HAS("avx512f") && UNROLL_CPU_HAS("avx512bw") && UNROLL_CPU_HAS("avx512dq") &&
      UNROLL_CPU_HAS("avx512vl"))
    return InstructionSet::kAvx512;
  if (UNROLL_CPU_HAS("avx2") && UNROLL_CPU_HAS("fma")) return InstructionSet::kAvx2;
  return InstructionSet::kPortable;
}

// LibTorch multiplies bf16 and int8 in tiles for x86 alone.
bool has_bf16_products() {
  return UNROLL_CPU_HAS("avx512bf16");
}

bool has_int8_products() {
  return UNROLL_CPU_HAS("avx512vnni");
}

}  // namespace unroll
