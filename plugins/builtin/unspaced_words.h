// Words of scripts without spaces between them, as ICU's dictionaries divide them.
#pragma once

#include <cstddef>
#include <string_view>

namespace unroll::builtin {

/// Thai and Lao, which have no full stops either: a space separates clauses and sentences.
constexpr bool is_thai_or_lao(char32_t c) {
  return c >= 0x0E01 && c <= 0x0EFF;
}

/// Khmer's khan and bariyoosan, which are no stops in Unicode 15.
constexpr bool is_khmer_stop(char32_t c) {
  return c == 0x17D4 || c == 0x17D5;
}

/// Of UTF-8; punctuation and white space do not count.
std::size_t count_unspaced_words(std::string_view text);

/// Whether a clause of Thai or Lao that begins with `text` goes on from the one before it: "and", "which".
bool goes_on_from_clause(std::string_view text);

}  // namespace unroll::builtin
