// UTF-8, read one character at a time out of any bytes at all.
#pragma once

#include <cstddef>
#include <string_view>

namespace unroll {

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
