#include "client/views/page.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace unroll {
namespace {

void add_character(std::string_view bytes, const Utf8& character, PageText& text) {
  const char32_t code = character.code;
  const bool control = (code < ' ' && code != '\n' && code != '\t') || (code >= 0x7F && code < 0xA0);
  if (code == '\r') return;  // The HTML parser would replace it with a line feed.
  if (code == '&') {
    text.html += "&amp;";
  } else if (code == '<') {
    text.html += "&lt;";
  } else if (code == '"') {
    text.html += "&quot;";
  } else {
    text.html += control || !character.valid ? kReplacement : bytes;
  }
  text.units += code > 0xFFFF ? 2 : 1;
}

}  // namespace

PageText page_text(std::string_view text) {
  PageText result;
  while (!text.empty()) {
    const Utf8 character = next_utf8(text);
    add_character(text.substr(0, character.bytes), character, result);
    text.remove_prefix(character.bytes);
  }
  return result;
}

char page_digit(std::size_t value) {
  return static_cast<char>('0' + value);
}

std::string page_hundredths(double number) {
  constexpr double kMost = kPageBase * kPageBase - 1;
  const auto hundredths = static_cast<std::size_t>(std::lround(std::clamp(number * 100, 0.0, kMost)));
  return {page_digit(hundredths / kPageBase), page_digit(hundredths % kPageBase)};
}

}  // namespace unroll
