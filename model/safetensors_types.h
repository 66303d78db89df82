// The types of numbers in safetensors files. Internal to model/.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <c10/core/ScalarType.h>

namespace unroll {

/// Only LibTorch's enumeration is used, so that safetensors_file.cc needs none of its libraries: `unroll`,
/// which must not load them, reads such files, too.
struct SafetensorsType {
  std::string_view name;  ///< The format's own.
  c10::ScalarType type;
  std::size_t bytes;
};

/// In the order in which the official library lays tensors out: larger alignment first.
inline constexpr std::array<SafetensorsType, 10> kSafetensorsTypes{{
    {"I64", c10::ScalarType::Long, 8},
    {"F64", c10::ScalarType::Double, 8},
    {"F32", c10::ScalarType::Float, 4},
    {"I32", c10::ScalarType::Int, 4},
    {"BF16", c10::ScalarType::BFloat16, 2},
    {"F16", c10::ScalarType::Half, 2},
    {"I16", c10::ScalarType::Short, 2},
    {"I8", c10::ScalarType::Char, 1},
    {"U8", c10::ScalarType::Byte, 1},
    {"BOOL", c10::ScalarType::Bool, 1},
}};

}  // namespace unroll
