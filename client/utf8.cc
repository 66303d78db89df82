#include "client/utf8.h"

namespace unroll {
namespace {

/// Bytes of the character that a first byte begins; 0 for a byte that begins none.
std::size_t length_of(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

/// What the second byte may be, so that overlong forms, surrogates and codes past U+10FFFF are left out.
bool second_fits(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return second >= 0x80 && second <= 0xBF;
  }
}

}  // namespace

Utf8 next_utf8(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = length_of(at(0));
  Utf8 character{.code = 0xFFFD};
  if (length == 0) return character;
  if (length == 1) return {.code = at(0), .bytes = 1, .valid = true};
  char32_t code = at(0) & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) {
      character.cut_off = true;
      return character;
    }
    const bool fits = i == 1 ? second_fits(at(0), at(1)) : (at(i) & 0xC0u) == 0x80u;
    if (!fits) return character;
    code = (code << 6u) | (at(i) & 0x3Fu);
  }
  return {.code = code, .bytes = length, .valid = true};
}

}  // namespace unroll
