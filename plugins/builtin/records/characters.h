// ASCII characters and words, as the readers of records see them.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/ascii.h"

namespace unroll::records {

using ascii::all_digits, ascii::is_alnum, ascii::is_digit, ascii::is_letter, ascii::is_upper;

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
inline std::string_view without_leading_blanks(std::string_view text) {
  const auto first = std::find_if_not(text.begin(), text.end(), is_blank);
  return text.substr(static_cast<std::size_t>(first - text.begin()));
}
inline std::string_view without_trailing_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Whether `text` begins with the pattern: '9' stands for a digit, 'a' for a letter, any other character for
/// itself.
inline bool looks_like(std::string_view text, std::string_view pattern) {
  if (text.size() < pattern.size()) return false;
  return std::equal(pattern.begin(), pattern.end(), text.begin(), [](char p, char c) {
    return p == '9' ? is_digit(c) : p == 'a' ? is_letter(c) : p == c;
  });
}

}  // namespace unroll::records
