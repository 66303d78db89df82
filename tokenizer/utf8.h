// UTF-8 as RFC 3629 defines it: what SentencePiece may be given as it is.
#pragma once

#include <cstddef>
#include <string_view>

namespace unroll {

/// Bytes of the valid character that `bytes` begin with, 1 to 4; 0 where they begin with none (a stray or cut
/// sequence, an overlong form, a surrogate, something past U+10FFFF, or nothing at all).
inline std::size_t utf8_character_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.empty()) return 0;
  const auto first = at(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || bytes.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && at(1) < 0xA0) return 0;
  if (first == 0xED && at(1) > 0x9F) return 0;
  if (first == 0xF0 && at(1) < 0x90) return 0;
  if (first == 0xF4 && at(1) > 0x8F) return 0;
  return length;
}

}  // namespace unroll
