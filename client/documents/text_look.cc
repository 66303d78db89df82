#include "client/documents/text_look.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/utf8.h"

namespace unroll {
namespace {

using namespace std::string_view_literals;

struct Counts {
  std::size_t controls = 0, nul = 0, nul_at_odd = 0;
  std::size_t characters = 0, broken = 0;  ///< UTF-8 of several bytes; bytes that are none.
};

Counts count(std::string_view text) {
  Counts counts;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\0') {
      ++counts.nul;
      counts.nul_at_odd += i % 2;
    }
    // Not white space, backspace (overstrikes) or escape (colours).
    if (c > 0 && c < ' ' && !(c >= '\b' && c <= '\r') && c != '\x1b') ++counts.controls;
    if (static_cast<unsigned char>(c) < 0x80) {
      ++i;
      continue;
    }
    const Utf8 character = next_utf8(text.substr(i, 4));
    if (!character.valid && i + 4 > text.size() && character.cut_off) break;
    ++(character.valid ? counts.characters : counts.broken);
    i += character.bytes;
  }
  return counts;
}

/// Whether all units are those of a text: white space is there, and neither control characters, private ones,
/// nor halves of a pair alone.
bool is_utf16(std::string_view text, bool big) {
  std::size_t spaces = 0, ascii_bytes = 0;
  bool in_pair = false;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto first = static_cast<unsigned char>(text[i]), second = static_cast<unsigned char>(text[i + 1]);
    const unsigned unit = big ? first << 8U | second : second << 8U | first;
    ascii_bytes += (first >= ' ' && first < 0x7F ? 1U : 0U) + (second >= ' ' && second < 0x7F ? 1U : 0U);
    const bool low = unit >= 0xDC00 && unit < 0xE000;
    if (in_pair != low) return false;
    in_pair = unit >= 0xD800 && unit < 0xDC00;
    const bool space = unit == ' ' || unit == '\n' || unit == '\r' || unit == '\t';
    spaces += space ? 1 : 0;
    const bool is_control = (unit < 0x20 && !space) || (unit >= 0x7F && unit < 0xA0);
    if (is_control || (unit >= 0xE000 && unit < 0xF900) || unit >= 0xFFFE) return false;
  }
  // Two letters of ASCII look like an ideograph.
  return spaces > 0 && ascii_bytes * 100 < text.size() * 85;
}

/// Every second byte of western texts in UTF-16 is NUL. In other scripts white space has one.
std::string utf16_without_mark(const Counts& counts, std::string_view text) {
  if (text.size() < 8 || counts.nul == 0) return "";
  const std::size_t even = counts.nul - counts.nul_at_odd;
  if (counts.nul * 4 >= text.size()) {
    if (counts.nul_at_odd > 20 * even) return "UTF-16LE";
    if (even > 20 * counts.nul_at_odd) return "UTF-16BE";
  }
  if (is_utf16(text, false)) return "UTF-16LE";
  return is_utf16(text, true) ? "UTF-16BE" : "";
}

/// ISO-2022-JP is ASCII in which escapes shift to other sets.
bool has_japanese_shifts(std::string_view text) {
  return text.find("\x1b$B") != std::string_view::npos || text.find("\x1b$@") != std::string_view::npos;
}

LineEnds line_ends_of(std::string_view text) {
  std::size_t cr = 0, lf = 0, both = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') ++lf;
    if (text[i] != '\r') continue;
    ++cr;
    both += i + 1 < text.size() && text[i + 1] == '\n';
  }
  if (cr > 1 && lf == 0) return LineEnds::kCr;
  if (both > 0 && both == lf) return LineEnds::kCrLf;
  return LineEnds::kLf;
}

bool has_paragraphs(std::string_view text) {
  std::size_t lines = 0, blank = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\n') continue;
    ++lines;
    blank += text.substr(i + 1).starts_with('\n') || text.substr(i + 1).starts_with("\r\n") ? 1 : 0;
  }
  return blank > 0 && blank * 10 >= lines;
}

/// Characters that East Asian fonts show at double width.
constexpr bool is_wide(char32_t c) {
  return (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
         (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x20000 && c <= 0x3FFFD);
}

/// The word at the start; of East Asian text, which breaks anywhere, a character.
std::string_view first_word(std::string_view line) {
  line.remove_prefix(indentation(line));
  if (!line.empty() && is_wide(next_utf8(line).code)) return line.substr(0, next_utf8(line).bytes);
  return line.substr(0, line.find_first_of(" \t"));
}

/// A line that goes on in the middle of a sentence: it begins in lower case, or in a script without case.
bool continues_sentence(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t\"'(_*"), line.size()));
  return !line.empty() &&
         ((line.front() >= 'a' && line.front() <= 'z') || static_cast<unsigned char>(line.front()) >= 0xC3);
}

/// A row of a table: columns of numbers, or columns that spaces set apart.
bool is_row(std::string_view line) {
  std::size_t digits = 0, letters = 0;
  bool gap = false;
  line.remove_prefix(indentation(line));
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    digits += ascii::is_digit(c) ? 1 : 0;
    letters += (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? 1 : static_cast<unsigned char>(c) >= 0x80 ? 1 : 0;
    const bool two = c == ' ' && i + 1 < line.size() && line[i + 1] == ' ';
    // Typists put two spaces between sentences.
    gap = gap || c == '\t' ||
          (two && std::string_view(".!?:;\"')_ ").find(line[i - 1]) == std::string_view::npos);
  }
  return gap || digits * 4 > letters;
}

}  // namespace

std::string_view without_trailing_space(std::string_view line) {
  const std::size_t last = line.find_last_not_of(" \t\r\f\v");
  return line.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::size_t indentation(std::string_view line) {
  return std::min(line.find_first_not_of(" \t"), line.size());
}

std::size_t text_columns(std::string_view line) {
  std::size_t columns = 0;
  while (!line.empty()) {
    const Utf8 character = next_utf8(line);
    columns += is_wide(character.code) ? 2 : 1;
    line.remove_prefix(character.bytes);
  }
  return columns;
}

bool was_full(std::string_view before, std::string_view after, std::size_t width) {
  const std::string_view word = first_word(after);
  // A hyphen at the end: the rest of the word was cut off there.
  const std::size_t space = before.ends_with('-') ? width / 8 : 1;
  return text_columns(before) + space + text_columns(word) + width / 16 > width;
}

TextLook look_at_text(std::string_view text) {
  TextLook look;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kMarks = {
      {{"\xef\xbb\xbf"sv, "UTF-8"sv},
       {"\xff\xfe\0\0"sv, "UTF-32LE"sv},
       {"\0\0\xfe\xff"sv, "UTF-32BE"sv},
       {"\xff\xfe"sv, "UTF-16LE"sv},
       {"\xfe\xff"sv, "UTF-16BE"sv}}};
  for (const auto& [mark, name] : kMarks) {
    if (!look.unicode.empty() || !text.starts_with(mark)) continue;
    look.unicode = name;
    look.mark_bytes = mark.size();
  }
  const Counts counts = count(text);
  if (look.unicode.empty()) look.unicode = utf16_without_mark(counts, text);
  look.utf8 = look.unicode.empty() ? counts.broken <= counts.characters : look.unicode == "UTF-8";
  if (counts.characters + counts.broken == 0 && has_japanese_shifts(text)) look.utf8 = false;
  look.utf8_characters = counts.broken == 0 ? counts.characters : 0;
  if (look.unicode.empty() || look.unicode == "UTF-8") {
    if (counts.controls >= 4 && counts.controls * 50 > text.size())
      look.noise = "binary data";
    else if (counts.nul * 2 > text.size())
      look.noise = "mostly NUL bytes";
  }
  look.line_ends = line_ends_of(text);
  look.paragraphs = has_paragraphs(text);
  return look;
}

std::optional<std::size_t> wrapped_width(std::string_view text) {
  struct Break {
    std::string_view before, after;
    std::size_t columns;
  };
  std::vector<Break> breaks;
  std::string_view before;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_trailing_space(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    // An indented line may begin a paragraph.
    if (!before.empty() && !line.empty() && indentation(line) <= indentation(before))
      breaks.push_back({before, line, text_columns(before)});
    before = line;
  }
  constexpr std::size_t kFewest = 4, kNarrowest = 30, kWidest = 140;
  std::vector<std::size_t> widths;
  std::size_t evidence = breaks.size();
  for (const Break& each : breaks) {
    widths.push_back(each.columns);
    // A word that was divided.
    evidence += each.before.ends_with('-') && continues_sentence(each.after) ? 1 : 0;
  }
  if (evidence < kFewest) return std::nullopt;
  const auto nearly_all = widths.begin() + static_cast<std::ptrdiff_t>(widths.size() * 98 / 100);
  std::nth_element(widths.begin(), nearly_all, widths.end());
  const std::size_t width = *nearly_all;
  if (width < kNarrowest || width > kWidest) return std::nullopt;
  std::size_t full = 0, continued = 0, rows = 0;
  for (const Break& each : breaks) {
    full += was_full(each.before, each.after, width) ? 1 : 0;
    continued += continues_sentence(each.after) ? 1 : 0;
    rows += is_row(each.before) ? 1 : 0;
  }
  const bool prose = full * 100 >= breaks.size() * 80 && continued * 100 >= breaks.size() * 45 &&
                     rows * 100 <= breaks.size() * 20;
  return prose ? std::optional(width) : std::nullopt;
}

}  // namespace unroll
