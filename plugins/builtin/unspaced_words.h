// Words of scripts without spaces between them, as ICU's dictionaries divide them.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include <unicode/ubrk.h>

namespace unroll::builtin {

/// Whether a character of a script without spaces between words begins at `text`: Chinese, Japanese, Thai,
/// Lao, Khmer, Burmese. All take three bytes in UTF-8.
inline bool is_unspaced(std::string_view text) {
  if (text.size() < 3) return false;
  const auto first = static_cast<unsigned char>(text[0]), second = static_cast<unsigned char>(text[1]);
  if (first >= 0xE3 && first <= 0xE9) return true;
  return (first == 0xE0 && second >= 0xB8 && second <= 0xBB) ||
         (first == 0xE1 && ((second >= 0x80 && second <= 0x82) || second == 0x9E || second == 0x9F));
}

/// Thai and Lao, which have no full stops either: a space separates clauses and sentences.
constexpr bool is_thai_or_lao(char32_t c) {
  return c >= 0x0E01 && c <= 0x0EFF;
}

/// Khmer's khan and bariyoosan, which are no stops in Unicode 15.
constexpr bool is_khmer_stop(char32_t c) {
  return c == 0x17D4 || c == 0x17D5;
}

/// Divides text without white space into words.
class UnspacedWords {
 public:
  /// Offsets of the words' ends in UTF-8; the last one is the text's. A word ends before another one if
  /// either touches the other with a character of a script without spaces, so that "e-mail" and "3.5" are one
  /// word. Punctuation belongs to the word before it; opening marks and signs of currencies, to the word
  /// after it.
  std::vector<std::size_t> ends(std::string_view text);

 private:
  struct Close {
    void operator()(UBreakIterator* breaks) const { ubrk_close(breaks); }
  };
  std::unique_ptr<UBreakIterator, Close> breaks_;
};

/// Of UTF-8; punctuation and white space do not count.
std::size_t count_unspaced_words(std::string_view text);

/// Whether a clause of Thai or Lao that begins with `text` goes on from the one before it: "and", "which".
bool goes_on_from_clause(std::string_view text);

}  // namespace unroll::builtin
