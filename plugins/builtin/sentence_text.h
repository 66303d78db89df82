// Properties of a sentence's text: its words, and whether it is prose that fits into a summary.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace unroll::builtin {

inline constexpr std::size_t kLeastWords = 6, kMostWords = 60;

inline bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
inline bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
inline bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
inline bool is_beyond_ascii(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}

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

/// Whether a character of a script without spaces between words begins at `text`: Chinese, Japanese, Thai,
/// Lao, Khmer, Burmese. All take three bytes in UTF-8.
inline bool is_unspaced(std::string_view text) {
  if (text.size() < 3) return false;
  const auto first = static_cast<unsigned char>(text[0]), second = static_cast<unsigned char>(text[1]);
  if (first >= 0xE3 && first <= 0xE9) return true;
  return (first == 0xE0 && second >= 0xB8 && second <= 0xBB) ||
         (first == 0xE1 && ((second >= 0x80 && second <= 0x82) || second == 0x9E || second == 0x9F));
}

/// Of normalised text. Two characters of a script without spaces count as a word.
inline std::size_t word_count(std::string_view text) {
  if (text.empty()) return 0;
  std::size_t unspaced = 0;
  for (std::size_t i = 0; i < text.size(); ++i) unspaced += is_unspaced(text.substr(i)) ? 1 : 0;
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + unspaced / 2;
}

/// Hashes of the content words (4 letters or more, case-insensitive), sorted, without duplicates. Of scripts
/// without spaces, of each two neighbouring characters.
inline std::vector<std::uint32_t> content_words(std::string_view text) {
  constexpr std::size_t kLeastLetters = 4;
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
    if (is_ascii_letter(c) || is_digit(c) || is_beyond_ascii(c)) {
      const char lower = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
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

/// Whether a stop ends `text`, before closing quotes and brackets.
inline bool ends_with_stop(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kStops = {".",
                                                              "!",
                                                              "?",
                                                              "\xE2\x80\xA6" /* ellipsis */,
                                                              "\xE3\x80\x82" /* ideographic full stop */,
                                                              "\xEF\xBC\x81",
                                                              "\xEF\xBC\x9F" /* wide ! ? */,
                                                              "\xEF\xBD\xA1",
                                                              "\xD8\x9F" /* Arabic ? */,
                                                              "\xDB\x94" /* Urdu full stop */,
                                                              "\xE0\xA5\xA4" /* danda */};
  constexpr std::size_t kMostClosing = 6;  // bytes beyond ASCII: curly and angle quotes
  const std::size_t least = text.size() - std::min(text.size(), kMostClosing);
  for (;;) {
    if (std::any_of(kStops.begin(), kStops.end(),
                    [&](std::string_view stop) { return text.ends_with(stop); }))
      return true;
    if (text.empty()) return false;
    const bool closes = std::string_view("\"')]*_ ").find(text.back()) != std::string_view::npos ||
                        (is_beyond_ascii(text.back()) && text.size() > least);
    if (!closes) return false;
    text.remove_suffix(1);
  }
}

/// Whether it is a complete prose sentence: no heading, table, code, capitals or rule. `text` is normalised.
inline bool is_prose(std::string_view text) {
  const auto words = word_count(text);
  if (words < kLeastWords || words > kMostWords) return false;
  const char first = text.front();
  if (!is_upper(first) && !is_digit(first) && !is_beyond_ascii(first) && first != '"' && first != '\'' &&
      first != '(') {
    return false;
  }
  if (!ends_with_stop(text)) return false;

  std::size_t letters = 0, upper = 0, digits = 0, odd = 0;
  for (const char c : text) {
    if (is_ascii_letter(c) || is_beyond_ascii(c)) ++letters;
    if (is_upper(c)) ++upper;
    if (is_digit(c)) ++digits;
    if (std::string_view("{}<>|=\\_~^#+@$/").find(c) != std::string_view::npos) ++odd;
  }
  return letters * 10 >= text.size() * 7 && upper * 10 <= letters * 4 && digits * 7 <= letters &&
         odd * 25 <= letters;
}

}  // namespace unroll::builtin
