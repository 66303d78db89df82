// A line's shape: what stays the same in the lines of one log statement. All words that contain a digit
// (times, addresses, numbers, names of hosts and files) count as equal. Lines of the same shape have the same
// hash; a second, coarser hash is the same for lines that begin with the same words.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plugins/builtin/records/characters.h"

namespace unroll::builtin {

struct LineShape {
  std::uint64_t whole = 0;
  std::uint64_t head = 0;  ///< Hash of the part before the kHeadWords-th space.
};
inline constexpr int kHeadWords = 4;

/// 64-bit FNV-1a, byte by byte.
class ShapeHash {
 public:
  explicit ShapeHash(std::uint64_t kind) { add(static_cast<char>(kind)); }
  void add(char c) { value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ull; }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325ull;
};

inline bool is_word_character(char c) {
  return records::is_alnum(c) || std::string_view("._:/+-").find(c) != std::string_view::npos;
}

/// Words end at white space, brackets, quotes, '=' and the like, so that lines of JSON have shapes as well.
/// Lines of different severity differ in shape, also if it shows in a number or a letter beside one (E0302).
inline LineShape line_shape(std::string_view line, int severity = 0) {
  ShapeHash whole(1), head(2);
  int words = 0;
  const auto add = [&](char c) {
    whole.add(c);
    if (words < kHeadWords) head.add(c);
  };
  const auto end_of = [&](std::size_t begin, const auto& belongs) {
    while (begin < line.size() && belongs(line[begin])) ++begin;
    return begin;
  };
  for (std::size_t i = 0; i < line.size();) {
    if (records::is_blank(line[i])) {
      add(' ');
      ++words;
      i = end_of(i, records::is_blank);
    } else if (!is_word_character(line[i])) {
      add(line[i++]);
    } else {
      const auto word = line.substr(i, end_of(i, is_word_character) - i);
      const auto shown =
          std::any_of(word.begin(), word.end(), records::is_digit) ? std::string_view("0") : word;
      for (const char c : shown) add(c);
      i += word.size();
    }
  }
  for (int i = 0; i < severity; ++i) whole.add('!');
  return {whole.value(), head.value()};
}

}  // namespace unroll::builtin
