#include "client/cli/text.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "base/utf8.h"

namespace unroll {

std::string one_line(std::string_view text) {
  std::string line;
  bool space = false;
  while (!text.empty()) {
    const Utf8 character = next_utf8(text);
    const std::string_view bytes = text.substr(0, character.bytes);
    text.remove_prefix(character.bytes);
    const char32_t code = character.code;
    if (code == ' ' || (code >= '\t' && code <= '\r') || code == 0x85 || code == 0x2028 || code == 0x2029) {
      space = !line.empty();
      continue;
    }
    if (space) line += ' ';
    space = false;
    line += character.valid && !moves_cursor(code) ? bytes : kReplacement;
  }
  return line;
}

std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += continues_utf8(c) ? 0 : 1;
  return count;
}

std::string cut(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  std::size_t end = 0;
  for (std::size_t column = 1; column < width; ++column) end += next_utf8(text.substr(end)).bytes;
  return std::string(text.substr(0, end)) + "…";
}

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string lines;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    const std::size_t length = columns(word);
    if (column > 0 && column + 1 + length > width) {
      lines += '\n';
      column = 0;
    }
    lines += column > 0 ? std::string(1, ' ') : std::string(indent, ' ');
    lines += word;
    column = column > 0 ? column + 1 + length : indent + length;
  }
  if (column > 0) lines += '\n';
  return lines;
}

std::string with_thousands(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string readable_bytes(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fixed(bytes, unit == 0 ? 0 : 1) + ' ' + kUnits.at(unit);
}

std::string readable_seconds(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(0.0, seconds));
  std::array<char, 64> text{};
  if (whole >= 3600) {
    std::snprintf(
        text.data(), text.size(), "%llu:%02llu:%02llu", static_cast<unsigned long long>(whole / 3600),
        static_cast<unsigned long long>(whole / 60 % 60), static_cast<unsigned long long>(whole % 60));
  } else {
    std::snprintf(text.data(), text.size(), "%llu:%02llu", static_cast<unsigned long long>(whole / 60),
                  static_cast<unsigned long long>(whole % 60));
  }
  return text.data();
}

std::string fixed(double number, int digits) {
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, number);
  return text.data();
}

std::string left(std::string_view text, std::size_t width) {
  std::string field(text);
  field.append(width - std::min(width, columns(text)), ' ');
  return field;
}

std::string right(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, columns(text)), ' ') + std::string(text);
}

}  // namespace unroll
