// Decodes UTF-8 (RFC 3629) one character at a time from arbitrary bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace unroll {

/// Length in bytes (1 to 4) of the valid character at the start of `bytes`; 0 if there is none (a stray or
/// cut sequence, an overlong form, a surrogate, a code point above U+10FFFF, or no bytes).
std::size_t utf8_character_length(std::string_view bytes);

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  ///< U+FFFD in UTF-8.

/// Whether `byte` continues a character rather than beginning one.
constexpr bool continues_utf8(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// Whether a terminal could obey `code` instead of showing it, or show text elsewhere than it stands: control
/// characters, line and paragraph separators, marks that change the writing direction.
constexpr bool moves_cursor(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

struct Utf8 {
  char32_t code = 0;      ///< U+FFFD if not valid.
  std::size_t bytes = 1;  ///< Bytes consumed; 1 if not valid.
  bool valid = false;
  bool cut_off = false;  ///< Not valid only because `text` ends within the character.
};

/// The first character of `text`, which must not be empty. Surrogates and overlong forms are not valid.
Utf8 next_utf8(std::string_view text);

}  // namespace unroll
