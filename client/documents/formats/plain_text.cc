#include "client/documents/formats/plain_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <unordered_set>

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "client/documents/formats/page_heads.h"
#include "client/documents/kind.h"
#include "client/documents/text_look.h"

namespace unroll::formats {
namespace {

bool is_letter(char32_t c) {
  return ::u_isalpha(static_cast<UChar32>(c)) != 0;
}

/// Scripts that are written without spaces between words.
bool has_no_spaces(char32_t c) {
  UErrorCode status = U_ZERO_ERROR;
  switch (::uscript_getScript(static_cast<UChar32>(c), &status)) {
    case USCRIPT_HAN:
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
    case USCRIPT_BOPOMOFO:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return true;
    default:
      return (c >= 0x3000 && c <= 0x303F) || (c >= 0xFF00 && c <= 0xFFEF);  // their punctuation
  }
}

bool is_word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80 ||
         c == '-';
}

std::string_view first_word_of(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && is_word_byte(text[end])) ++end;
  return text.substr(0, end);
}

std::string_view last_word_of(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && is_word_byte(text[begin - 1])) --begin;
  return text.substr(begin);
}

/// Lines of a text, without their ends.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  bool next(Line& line) {
    if (at_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find_first_of("\n\r", at_), text_.size());
    line = {text_.substr(at_, end - at_), at_};
    at_ = end + 1;
    if (end + 1 < text_.size() && text_[end] == '\r' && text_[end + 1] == '\n') ++at_;
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

std::string with_newlines(std::string_view text) {
  std::string result;
  Lines lines(text);
  for (Line line; lines.next(line);) result.append(line.text) += '\n';
  return result;
}

std::vector<Paragraph> paragraphs_of(std::string_view text) {
  std::vector<Paragraph> paragraphs(1);
  Lines lines(text);
  for (Line line; lines.next(line);) {
    if (!ascii::is_blank(line.text)) {
      paragraphs.back().push_back({without_trailing_space(line.text), line.offset});
    } else if (!paragraphs.back().empty()) {
      paragraphs.emplace_back();
    }
  }
  if (paragraphs.back().empty()) paragraphs.pop_back();
  return paragraphs;
}

/// Joins lines that were full; others are verse, addresses, tables.
void add_paragraph(const Paragraph& paragraph, std::optional<std::size_t> width, const Hyphens& hyphens,
                   TextBuilder& builder) {
  std::vector<Line> joined;
  const auto flush = [&] {
    join_lines(builder, joined, hyphens);
    joined.clear();
  };
  for (const Line& line : paragraph) {
    if (!joined.empty()) {
      const std::string_view before = joined.back().text;
      if (indentation(line.text) > indentation(before) + 1 ||
          (indentation(line.text) > 0 && indentation(before) == 0)) {
        flush();
        builder.end_paragraph();
      } else if (width && !was_full(before, line.text, *width * 4 / 5)) {
        flush();
        builder.line_break();
      }
    }
    joined.push_back(line);
  }
  flush();
  builder.end_paragraph();
}

}  // namespace

char32_t last_character(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && continues_utf8(text[--at])) {
  }
  return text.empty() ? 0 : next_utf8(text.substr(at)).code;
}

std::string joined_text(const Paragraph& paragraph) {
  std::string text;
  for (const Line& line : paragraph)
    (text += text.empty() ? "" : " ") += line.text.substr(indentation(line.text));
  return text;
}

struct Hyphens::Words {
  std::unordered_set<std::string> seen;
};

Hyphens::Hyphens(std::string_view text) : words_(std::make_unique<Words>()) {
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word_byte(text[at])) {
      ++at;
      continue;
    }
    const std::string_view word = first_word_of(text.substr(at));
    at += word.size();
    if (word.size() < 64 && !word.ends_with('-')) words_->seen.insert(ascii::lower(word));
  }
}

Hyphens::~Hyphens() = default;

bool Hyphens::has_word(std::string_view word) const {
  return words_->seen.contains(ascii::lower(word));
}

Hyphens::Joint Hyphens::between(std::string_view before, std::string_view after) const {
  for (const std::string_view hyphen : {"\xC2\xAD", "-", "\xE2\x80\x90"}) {
    if (!before.ends_with(hyphen)) continue;
    const std::string_view stem = before.substr(0, before.size() - hyphen.size());
    if (stem.empty() || after.empty() || !is_letter(last_character(stem)) ||
        !::u_islower(static_cast<UChar32>(next_utf8(after).code)))
      break;
    const std::string first = ascii::lower(last_word_of(stem)), second = ascii::lower(first_word_of(after));
    const auto seen = [&](const std::string& word) { return words_->seen.contains(word); };
    if (hyphen != "-" || seen(first + second)) return Joint::kDropHyphen;
    if (seen(first + "-" + second) || (seen(first) && seen(second))) return Joint::kNothing;
    return Joint::kDropHyphen;
  }
  if (before.ends_with('-') || before.ends_with("\xE2\x80\x94"))
    return Joint::kNothing;  // "forty-\nFive", a dash
  const bool no_space = !before.empty() && !after.empty() && has_no_spaces(last_character(before)) &&
                        has_no_spaces(next_utf8(after).code);
  return no_space ? Joint::kNothing : Joint::kSpace;
}

void join_lines(TextBuilder& builder, const std::vector<Line>& lines, const Hyphens& hyphens) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t indent = indentation(lines[i].text);
    std::string_view text = lines[i].text.substr(indent);
    const std::uint64_t offset = lines[i].offset + indent;
    auto joint = Hyphens::Joint::kSpace;
    if (i + 1 < lines.size()) {
      const std::string_view next = lines[i + 1].text.substr(indentation(lines[i + 1].text));
      joint = hyphens.between(text, next);
    }
    if (joint == Hyphens::Joint::kDropHyphen) {
      const std::size_t hyphen = text.ends_with('-') ? 1 : text.ends_with("\xC2\xAD") ? 2 : 3;
      text.remove_suffix(hyphen);
    }
    builder.text(text, offset);
    if (joint == Hyphens::Joint::kSpace && i + 1 < lines.size()) builder.text(" ", offset + text.size());
  }
}

int heading_level(std::string_view paragraph) {
  constexpr std::size_t kLongest = 100;
  const std::size_t begin = paragraph.find_first_not_of(" \t*_=");
  if (begin == std::string_view::npos || paragraph.size() > kLongest) return 0;
  const std::string text = ascii::lower(paragraph.substr(begin));
  constexpr std::array<std::string_view, 12> kAbove = {"book",  "part",  "volume", "act",    "buch", "teil",
                                                       "livre", "libro", "parte",  "partie", "Том",  "Часть"};
  constexpr std::array<std::string_view, 16> kChapters = {
      "chapter", "letter",   "canto",    "scene",    "prologue",  "epilogue", "preface", "introduction",
      "kapitel", "chapitre", "capítulo", "capitolo", "hoofdstuk", "глава",    "Глава",   "rozdział"};
  const auto numbered = [&](std::string_view word) {
    if (!text.starts_with(word)) return false;
    std::string_view rest = std::string_view(text).substr(word.size());
    if (rest.empty()) return true;
    if (rest.front() != ' ' && rest.front() != '.' && rest.front() != ':') return false;
    rest = rest.substr(std::min(rest.find_first_not_of(" .:"), rest.size()));
    const std::string_view number = rest.substr(0, rest.find_first_of(" .:,;\xe2-"));
    constexpr std::array<std::string_view, 15> kWords = {"the",  "one",   "two",    "three", "four",
                                                         "five", "six",   "seven",  "eight", "nine",
                                                         "ten",  "first", "second", "third", "last"};
    return rest.empty() || number.find_first_not_of("0123456789") == std::string_view::npos ||
           number.find_first_not_of("ivxlc") == std::string_view::npos ||
           std::ranges::find(kWords, number) != kWords.end();
  };
  if (std::ranges::any_of(kAbove, numbered)) return 1;
  return std::ranges::any_of(kChapters, numbered) ? 2 : 0;
}

std::vector<std::string> read_plain_text(const Decoding& decoding, const Options& options,
                                         TextBuilder& builder) {
  std::vector<std::string> notes;
  std::string copy;
  std::string_view text = decoding.text;
  const LineEnds ends = look_at_text(text.substr(0, kLookedAtBytes)).line_ends;
  if (options.keep_layout) {
    builder.verbatim(text, 0);
    return notes;
  }
  std::optional<std::size_t> width;
  if (!options.unwrap) {
    if (ends != LineEnds::kLf) copy = with_newlines(text.substr(0, kLookedAtBytes));
    width = wrapped_width(ends == LineEnds::kLf ? text.substr(0, kLookedAtBytes) : std::string_view(copy));
  }
  const bool joins = options.unwrap || width;
  if (!joins) {
    Lines lines(text);
    for (Line line; lines.next(line);) {
      builder.verbatim(line.text, line.offset);
      builder.verbatim("\n", line.offset + line.text.size());
    }
    if (ends != LineEnds::kLf)
      notes.push_back(std::string("read its line ends (") + (ends == LineEnds::kCr ? "CR" : "CR LF") +
                      ") as LF");
    return notes;
  }
  std::vector<Paragraph> paragraphs = paragraphs_of(text);
  drop_page_heads(paragraphs, notes);
  const Hyphens hyphens(text);
  for (const Paragraph& paragraph : paragraphs) {
    const int level = paragraph.size() <= 3 ? heading_level(joined_text(paragraph)) : 0;
    if (level > 0) builder.begin_heading(level);
    add_paragraph(paragraph, width, hyphens, builder);
    if (level > 0) builder.end_heading();
  }
  notes.push_back(width ? "joined lines that were wrapped at " + std::to_string(*width) + " columns"
                        : "joined the lines of each paragraph");
  return notes;
}

}  // namespace unroll::formats
