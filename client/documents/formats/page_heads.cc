#include "client/documents/formats/page_heads.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <unicode/uchar.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "client/documents/text_look.h"

namespace unroll::formats {
namespace {

/// What a page begins or ends with: its number, perhaps with the title of the book or chapter.
struct PageHead {
  int number = 0;          ///< 0: the paragraph is none.
  std::string_view title;  ///< Beside the number.
  bool sure = false;       ///< "[Pg 12]", "Page 12": nothing else is written so.
  std::size_t paragraph = 0;
};

int number_of(std::string_view digits) {
  if (digits.empty() || digits.size() > 4 || !std::ranges::all_of(digits, ascii::is_digit)) return 0;
  return std::stoi(std::string(digits));
}

std::string_view trimmed(std::string_view text, std::string_view marks) {
  const std::size_t begin = text.find_first_not_of(marks), end = text.find_last_not_of(marks);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

/// "12", "[Pg 12]", "- 12 -", "12 THE HISTORY OF ROME", "THE HISTORY OF ROME 13".
PageHead page_head(const Paragraph& paragraph) {
  constexpr std::string_view kMarks = " \t\f[]{}()-.|";
  constexpr std::size_t kLongest = 80;
  PageHead head;
  if (paragraph.size() != 1 || paragraph.front().text.size() > kLongest) return head;
  std::string_view text = paragraph.front().text;
  head.sure = text.find_first_of("[{") != std::string_view::npos;
  text = trimmed(text, kMarks);
  for (const std::string_view word : {"Page", "page", "Pg", "pg", "p"}) {
    if (!text.starts_with(word)) continue;
    head.number = number_of(trimmed(text.substr(word.size()), kMarks));
    head.sure = head.number > 0;
    return head;
  }
  head.number = number_of(text);
  if (head.number > 0) return head;
  head.sure = false;
  const std::size_t first = text.find(' '), last = text.rfind(' ');
  if (first == std::string_view::npos || heading_level(text) > 0) return head;
  head.number = number_of(trimmed(text.substr(0, first), kMarks));
  head.title = trimmed(text.substr(first), kMarks);
  if (head.number > 0) return head;
  head.number = number_of(trimmed(text.substr(last), kMarks));
  head.title = trimmed(text.substr(0, last), kMarks);
  return head;
}

bool ends_sentence(std::string_view line) {
  if (line.empty() || line.back() == ':' || line.back() == ';') return true;
  const auto last = static_cast<UChar32>(last_character(line));
  const int property = ::u_getIntPropertyValue(last, UCHAR_SENTENCE_BREAK);
  return property == U_SB_ATERM || property == U_SB_STERM || property == U_SB_CLOSE;
}

/// Whether a paragraph goes on after what stands between it and `after`.
bool is_interrupted(const Paragraph& before, const Paragraph& after) {
  const std::string_view last = before.back().text, first = after.front().text;
  constexpr std::size_t kMostOfHeading = 3;
  const bool heading = before.size() <= kMostOfHeading && heading_level(joined_text(before)) > 0;
  return !ends_sentence(last) && !heading &&
         (before.size() > 1 ||
          ::u_islower(static_cast<UChar32>(next_utf8(first.substr(indentation(first))).code)) != 0);
}

/// Heads of pages: numbers that rise at the distance of a page, and titles that several pages have. Numbers
/// of chapters are farther apart, and those of short sections do not stand within sentences.
std::vector<PageHead> find_page_heads(const std::vector<Paragraph>& paragraphs) {
  constexpr std::uint64_t kMostOfPage = 6000;
  constexpr std::size_t kFewest = 5, kFewestTitles = 3;
  std::vector<PageHead> heads;
  std::map<std::string_view, std::size_t> titles;
  for (std::size_t i = 0; i < paragraphs.size(); ++i) {
    PageHead head = page_head(paragraphs[i]);
    if (head.number == 0) continue;
    head.paragraph = i;
    ++titles[head.title];
    heads.push_back(head);
  }
  int last = 0;
  std::size_t interrupting = 0;
  std::erase_if(heads, [&](const PageHead& head) {
    if (!head.title.empty() && titles[head.title] < kFewestTitles) return true;
    if (head.number <= last || (last != 0 && head.number > last + 3)) return true;
    last = head.number;
    const std::size_t i = head.paragraph;
    interrupting += head.sure || (i > 0 && i + 1 < paragraphs.size() &&
                                  is_interrupted(paragraphs[i - 1], paragraphs[i + 1]));
    return false;
  });
  if (heads.size() < kFewest || interrupting * 4 < heads.size()) return {};
  const auto offset = [&](const PageHead& head) { return paragraphs[head.paragraph].front().offset; };
  return (offset(heads.back()) - offset(heads.front())) / (heads.size() - 1) > kMostOfPage
             ? std::vector<PageHead>()
             : heads;
}

}  // namespace

void drop_page_heads(std::vector<Paragraph>& paragraphs, std::vector<std::string>& notes) {
  const std::vector<PageHead> heads = find_page_heads(paragraphs);
  if (heads.empty()) return;
  bool titles = false;
  for (const PageHead& head : heads) {
    titles = titles || !head.title.empty();
    paragraphs[head.paragraph].clear();
  }
  for (const PageHead& head : heads) {
    std::size_t before = head.paragraph, after = head.paragraph;
    while (before > 0 && paragraphs[before].empty()) --before;
    while (after + 1 < paragraphs.size() && paragraphs[after].empty()) ++after;
    Paragraph &first = paragraphs[before], &second = paragraphs[after];
    if (first.empty() || second.empty() || !is_interrupted(first, second)) continue;
    first.insert(first.end(), second.begin(), second.end());
    second = std::exchange(first, {});  // to which the next page is joined
  }
  std::erase_if(paragraphs, [](const Paragraph& paragraph) { return paragraph.empty(); });
  notes.push_back("dropped " + std::to_string(heads.size()) + (titles ? " running heads and" : "") +
                  " page numbers");
}

}  // namespace unroll::formats
