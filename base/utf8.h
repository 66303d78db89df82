// UTF-8 as RFC 3629 defines it, read one character at a time from any bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace unroll {

/// Bytes of the valid character that `bytes` begin with, 1 to 4; 0 where they begin with none (a stray or cut
/// sequence, an overlong form, a surrogate, something past U+10FFFF, or nothing at all).
std::size_t utf8_character_length(std::string_view bytes);

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  ///< U+FFFD in UTF-8.

struct Utf8 {
  char32_t code = 0;      ///< U+FFFD where the bytes are no character.
  std::size_t bytes = 1;  ///< Taken: 1 where they are none.
  bool valid = false;
  bool cut_off = false;  ///< Not valid only because `text` ends inside the character.
};

/// The first character of `text`, which must not be empty. Surrogates and overlong forms are not valid.
Utf8 next_utf8(std::string_view text);

}  // namespace unroll
