// What stays the same in the lines that one log statement writes: the line with its numbers and hexadecimal
// words collapsed. Two lines of one shape hash alike; so do, as a coarser kind, two that begin with the same
// words.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string_view>

namespace unroll::builtin {

struct LineShape {
  std::uint64_t whole = 0;
  std::uint64_t head = 0;  ///< Of the first kHeadWords words.
};
inline constexpr int kHeadWords = 6;

/// 64-bit FNV-1a, byte by byte.
class ShapeHash {
 public:
  explicit ShapeHash(std::uint64_t kind) { add(static_cast<char>(kind)); }
  void add(char c) { value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ull; }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325ull;
};

inline LineShape line_shape(std::string_view line) {
  const auto letter_or_digit = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto hexadecimal = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  constexpr std::size_t kLeastHex = 4;

  ShapeHash whole(1), head(2);
  int words = 0;
  const auto add = [&](char c) {
    whole.add(c);
    if (words < kHeadWords) head.add(c);
  };
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == ' ' || line[i] == '\t') {
      while (i < line.size() && (line[i] == ' ' || line[i] == '\t')) ++i;
      add(' ');
      ++words;
      continue;
    }
    std::size_t end = i;
    while (end < line.size() && letter_or_digit(line[end])) ++end;
    const auto run = line.substr(i, end - i);
    if (run.empty()) {
      add(line[i++]);
    } else if (std::none_of(run.begin(), run.end(), digit)) {
      for (const char c : run) add(c);
    } else if (run.size() >= kLeastHex && std::all_of(run.begin(), run.end(), hexadecimal)) {
      add('0');
    } else {
      for (std::size_t k = 0; k < run.size(); ++k) {
        if (!digit(run[k]))
          add(run[k]);
        else if (k == 0 || !digit(run[k - 1]))
          add('0');
      }
    }
    i = std::max(end, i);
  }
  return {whole.value(), head.value()};
}

}  // namespace unroll::builtin
