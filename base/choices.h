// What the options --device and --dtype, and the configuration's keys of the same names, take.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

namespace unroll {

/// "cuda-plain" is a GPU without this project's kernels and graphs.
inline constexpr std::array<std::string_view, 4> kDevices = {"auto", "cpu", "cuda", "cuda-plain"};
/// Types of numbers to compute with.
inline constexpr std::array<std::string_view, 4> kDtypes = {"auto", "fp32", "bf16", "int8"};

/// "auto, cpu, cuda or cuda-plain"
inline std::string in_words(std::span<const std::string_view> choices) {
  std::string words;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    words += i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ";
    words += choices[i];
  }
  return words;
}

}  // namespace unroll
