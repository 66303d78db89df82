// Matrix products of tiles: oneDNN's batch-reduce kernels, as LibTorch exports them, on x86-64 with AVX2, and
// a loop of our own on other CPUs. LibTorch's general product, which it offers there, would start threads of
// its own in each of ours, and might sum a row in another order for other sizes.
#pragma once

#include <cstdint>
#include <type_traits>

#include <ATen/native/CPUBlas.h>

#include "model/cpu/instruction_set.h"

namespace unroll {

/// tile_product() of fp32 for any CPU. Sums in the order of the depth, whatever the other sizes are.
void portable_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t stride_a,
                      std::int64_t stride_b, std::int64_t stride_c, bool add, const float* a, const float* b,
                      float* c);

/// c [rows, columns] = a [rows, depth] times b [depth, columns], added to c if `add`. Numbers of bf16 and
/// int8 stand in b in pairs and fours of the depth (see PackedMatrix); only on a CPU that cpu_supports()
/// them.
template <typename A, typename B, typename C>
void tile_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t stride_a,
                  std::int64_t stride_b, std::int64_t stride_c, bool add, const A* a, const B* b, C* c) {
  constexpr bool kFp32 = std::is_same_v<A, float>;
  if constexpr (kFp32) {
    if (instruction_set() == InstructionSet::kPortable)
      return portable_product(rows, columns, depth, stride_a, stride_b, stride_c, add, a, b, c);
  }
  at::native::cpublas::brgemm(rows, columns, depth, stride_a, stride_b, stride_c, add, a, b, c, !kFp32);
}

/// Call after a thread's last product for now. `narrow`: of bf16 or int8; releases the registers of AMX.
inline void end_products(bool narrow) {
  at::native::cpublas::brgemm_release(narrow);
}

}  // namespace unroll
