// Bytes and numbers as lower-case hexadecimal digits.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace unroll {

inline std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr auto kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const auto byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

/// All 16 digits, the most significant first.
inline std::string to_hex(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = bytes.size(); i-- > 0; number >>= 8) bytes[i] = static_cast<std::uint8_t>(number);
  return to_hex(bytes);
}

}  // namespace unroll
