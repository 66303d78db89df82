// The one place that asks which CPU this is. cmake/instruction_sets.cmake compiles each file of kernels once
// for each set that the target's architecture knows: plain C++ for any CPU (kPortable: NEON on aarch64), and
// AVX2 and AVX-512 on x86-64. The choice among them is made when the program runs.
#pragma once

namespace unroll {

/// kAvx2: with FMA. kAvx512: with F, BW, DQ and VL, which oneDNN asks for, too.
enum class InstructionSet { kPortable, kAvx2, kAvx512 };

/// The best one that this CPU has.
InstructionSet instruction_set();

/// Whether this CPU multiplies pairs of bf16 (AVX-512 BF16).
bool has_bf16_products();
/// Whether this CPU multiplies fours of int8 (AVX-512 VNNI).
bool has_int8_products();

#ifdef __x86_64__
constexpr bool kCompiledForX86 = true;
#else
constexpr bool kCompiledForX86 = false;
#endif

/// of.operator()<set>() of the best set that this CPU has and that kernels are compiled for.
template <typename Of>
decltype(auto) for_instruction_set(const Of& of) {
  if constexpr (kCompiledForX86) {
    const auto set = instruction_set();
    if (set == InstructionSet::kAvx512) return of.template operator()<InstructionSet::kAvx512>();
    if (set == InstructionSet::kAvx2) return of.template operator()<InstructionSet::kAvx2>();
  }
  return of.template operator()<InstructionSet::kPortable>();
}

}  // namespace unroll
