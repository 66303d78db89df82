// Properties of a sentence's text: its words, and whether it is prose that fits into a summary.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/ascii.h"
#include "plugins/builtin/characters.h"
#include "plugins/builtin/unspaced_words.h"

namespace unroll::builtin {

inline constexpr std::size_t kLeastWords = 6, kMostWords = 60;
inline constexpr std::size_t kLeastStoplessWords =
    10;  ///< Of scripts without stops, where headings look the same.

/// Removes whitespace at the ends and replaces each run inside with one space.
inline std::string normalised(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!is_space(c)) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// Of normalised text. Two Chinese or Japanese characters count as a word; ICU's dictionaries divide Thai,
/// Lao, Khmer and Burmese.
inline std::size_t word_count(std::string_view text) {
  if (text.empty()) return 0;
  std::size_t unspaced = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_unspaced(text.substr(i))) continue;
    if (static_cast<unsigned char>(text[i]) < 0xE3) return count_unspaced_words(text);
    ++unspaced;
  }
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + unspaced / 2;
}

/// Hashes of the content words (3 letters or more, case-insensitive), sorted, without duplicates. Of scripts
/// without spaces, of each two neighbouring characters.
inline std::vector<std::uint32_t> content_words(std::string_view text) {
  constexpr std::size_t kLeastLetters = 3;
  std::vector<std::uint32_t> words;
  std::uint32_t hash = 0;
  std::size_t letters = 0;
  const auto end_word = [&] {
    if (letters >= kLeastLetters) words.push_back(hash);
    hash = 2166136261u;
    letters = 0;
  };
  end_word();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_unspaced(text.substr(i))) {
      end_word();
      if (is_unspaced(text.substr(std::min(i + 3, text.size())))) {
        for (const char byte : text.substr(i, 6))
          hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619u;
        letters = kLeastLetters;
        end_word();
      }
      i += 2;
      continue;
    }
    if (is_letter(c) || is_digit(c) || is_beyond_ascii(c)) {
      const char lower = ascii::lower(c);
      hash = (hash ^ static_cast<unsigned char>(lower)) * 16777619u;
      ++letters;
    } else {
      end_word();
    }
  }
  end_word();
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

/// The share of the shorter list that is also in the other, 0 to 1.
inline double word_overlap(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::vector<std::uint32_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  const auto shorter = std::min(a.size(), b.size());
  return shorter == 0 ? 0.0 : static_cast<double>(both.size()) / static_cast<double>(shorter);
}

/// Whether a stop of its script ends `text`, before closing quotes and brackets.
inline bool ends_with_stop(std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  auto at = static_cast<std::int32_t>(text.size());
  while (at > 0) {
    UChar32 c = 0;
    U8_PREV(bytes, 0, at, c);
    const int property = ::u_getIntPropertyValue(c, UCHAR_SENTENCE_BREAK);
    if (property == U_SB_ATERM || property == U_SB_STERM || c == 0x2026 ||
        is_khmer_stop(static_cast<char32_t>(c)))
      return true;
    if ((c == ';' || c == ':') && at > 0) {  // Greek and Armenian
      U8_PREV(bytes, 0, at, c);
      return (c >= 0x370 && c < 0x400) || (c >= 0x530 && c < 0x590);
    }
    if (property != U_SB_CLOSE && c != '*' && c != '_' && c != ' ') return false;
  }
  return false;
}

/// A sentence of a script without stops ends with a letter.
inline bool ends_without_stop(std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  auto at = static_cast<std::int32_t>(text.size());
  UChar32 c = 0;
  if (at > 0) U8_PREV(bytes, 0, at, c);
  return is_thai_or_lao(static_cast<char32_t>(c));
}

/// Speech, as many languages set it: "— No lo sé". `text` begins with no white space.
inline bool begins_with_dash(std::string_view text) {
  return text.starts_with("\u2013") || text.starts_with("\u2014") || text.starts_with("\u2015");
}

/// Whether it begins with a pronoun for what the sentence before it says: "This was", "Das war", "C'est". Out
/// of its place it says nothing. `text` is normalised.
inline bool refers_back(std::string_view text) {
  static constexpr std::string_view kVerbs =
      " is are was were has had have will would can could may might must should did does do means meant made "
      "makes "
      "led leads happened occurred followed became "  // English
      "ist sind war waren wird wurde wurden hat hatte hatten kann konnte soll sollte gilt galt heißt "
      "bedeutet "                                                          // German
      "was zijn waren heeft had hebben wordt werd kan kon moet betekent "  // Dutch
      "è era sono erano fu furono ha aveva significa "                     // Italian
      "был была было были значит означает стало ";                         // Russian
  static constexpr std::string_view kBeforeVerb =
      " This That These Those Das Dies Dit Dat Questo Quello Это ";
  static constexpr std::string_view kAlone = " Cela Ceci Ça Esto Eso Ello Aquello Isto Isso Aquilo Ciò ";
  while (!text.empty() && (text.front() == '"' || text.front() == '\'' || text.front() == '('))
    text.remove_prefix(1);
  const auto is_one_of = [](std::string_view words, std::string_view word) {
    return !word.empty() && words.find(" " + std::string(word) + " ") != std::string_view::npos;
  };
  for (const std::string_view french : {"C'est ", "C'était ", "C’est ", "C’était ", "Ce fut ", "That's "}) {
    if (text.starts_with(french)) return true;
  }
  const std::size_t space = std::min(text.find(' '), text.size());
  const std::string_view first = text.substr(0, space);
  if (is_one_of(kAlone, first)) return true;
  if (!is_one_of(kBeforeVerb, first)) return false;
  const std::string_view rest = text.substr(std::min(space + 1, text.size()));
  return is_one_of(kVerbs, rest.substr(0, rest.find(' ')));
}

/// Whether it is a complete prose sentence: no heading, table, code, capitals or rule. `text` is normalised.
inline bool is_prose(std::string_view text) {
  const auto words = word_count(text);
  const bool stopless = ends_without_stop(text);
  if (words < (stopless ? kLeastStoplessWords : kLeastWords) || words > kMostWords) return false;
  const char first = text.front();
  if (!is_upper(first) && !is_digit(first) && !is_beyond_ascii(first) && first != '"' && first != '\'' &&
      first != '(') {
    return false;
  }
  if (!stopless && !ends_with_stop(text)) return false;

  std::size_t letters = 0, upper = 0, digits = 0, odd = 0, spaces = 0;
  for (const char c : text) {
    if (c == ' ') ++spaces;
    if (is_letter(c) || is_beyond_ascii(c)) ++letters;
    if (is_upper(c)) ++upper;
    if (is_digit(c)) ++digits;
    if (std::string_view("{}<>|=\\_~^#+@$/").find(c) != std::string_view::npos) ++odd;
  }
  return letters * 10 >= (text.size() - spaces) * 8 && upper * 10 <= letters * 4 && digits * 7 <= letters &&
         odd * 25 <= letters;
}

}  // namespace unroll::builtin
