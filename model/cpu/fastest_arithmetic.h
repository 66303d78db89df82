// What `--dtype auto` takes: the arithmetic that this machine was measured to multiply fastest. A CPU's flags
// do not say: without AMX a Xeon that has AVX-512 BF16 multiplies bf16 more slowly than fp32.
#pragma once

#include <filesystem>

#include "model/cpu/packed_matrix.h"

namespace unroll {

/// Multiply-adds per second on one thread, conversion of the activations included; 0: the CPU cannot.
struct ArithmeticSpeeds {
  double fp32 = 0, bf16 = 0, int8 = 0;
  double of(Arithmetic arithmetic) const;
  bool operator==(const ArithmeticSpeeds&) const = default;
};

/// Times PackedMatrix's products in the calling thread, some 10 ms.
ArithmeticSpeeds measure_arithmetic();

/// What `file` keeps, if it is of a CPU with the same arithmetics; else measured, once in a process, and kept
/// there as far as it can be written. A document that is resumed so goes on in the arithmetic that it began
/// in, however close the race was. An empty path keeps nothing. From any thread.
ArithmeticSpeeds arithmetic_speeds(const std::filesystem::path& file);

/// fp32, or bf16 if that is clearly faster. For weights that are stored in int8, which lose nothing more by
/// it, int8, unless another is clearly faster.
Arithmetic fastest_arithmetic(const ArithmeticSpeeds& speeds, bool stored_in_int8);

}  // namespace unroll
