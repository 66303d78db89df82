// `--dtype auto`: the arithmetic that this machine was measured to multiply fastest. A CPU's flags do not
// tell: a Xeon with AVX-512 BF16 but without AMX multiplies bf16 more slowly than fp32.
#pragma once

#include <filesystem>

#include "model/cpu/packed_matrix.h"

namespace unroll {

/// Multiply-adds per second on one thread, including conversion of the activations; 0: not supported by the
/// CPU.
struct ArithmeticSpeeds {
  double fp32 = 0, bf16 = 0, int8 = 0;
  double of(Arithmetic arithmetic) const;
  bool operator==(const ArithmeticSpeeds&) const = default;
};

/// Times PackedMatrix's products in the calling thread, for about 10 ms.
ArithmeticSpeeds measure_arithmetic();

/// Reads the speeds from `file`, if it was written on a CPU with the same arithmetics. Otherwise measures
/// once per process and writes the file if possible, so that a resumed document continues in the arithmetic
/// that it began in, however close the race was. With an empty path nothing is stored. From any thread.
ArithmeticSpeeds arithmetic_speeds(const std::filesystem::path& file);

/// fp32, or bf16 if that is clearly faster. For weights that are stored in int8 and lose nothing more by it,
/// int8, unless another is clearly faster.
Arithmetic fastest_arithmetic(const ArithmeticSpeeds& speeds, bool stored_in_int8);

}  // namespace unroll
