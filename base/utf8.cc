#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <string>

namespace unroll {
namespace {

/// Whether `text` is a character without its last bytes: completed by the least or the greatest continuation
/// byte, it is valid.
bool is_cut(std::string_view text) {
  constexpr std::array<std::string_view, 2> kRests{"\x80\x80\x80", "\xBF\xBF\xBF"};
  return text.size() < 4 && std::ranges::any_of(kRests, [&](std::string_view rest) {
           return utf8_character_length(std::string(text).append(rest)) > text.size();
         });
}

}  // namespace

std::size_t utf8_character_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.empty()) return 0;
  const auto first = at(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || bytes.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && at(1) < 0xA0) return 0;
  if (first == 0xED && at(1) > 0x9F) return 0;
  if (first == 0xF0 && at(1) < 0x90) return 0;
  if (first == 0xF4 && at(1) > 0x8F) return 0;
  return length;
}

Utf8 next_utf8(std::string_view text) {
  const auto length = utf8_character_length(text);
  if (length == 0) return {.code = 0xFFFD, .cut_off = is_cut(text)};
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  char32_t code = length == 1 ? at(0) : at(0) & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = (code << 6u) | (at(i) & 0x3Fu);
  return {.code = code, .bytes = length, .valid = true};
}

}  // namespace unroll
