// Numbers in outputs: six significant digits, the same text on every run.
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace unroll {

inline std::string six_digits(double number) {
  if (number == 0) number = 0;  // no -0
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 6);
  return {text.data(), end.ptr};
}

}  // namespace unroll
