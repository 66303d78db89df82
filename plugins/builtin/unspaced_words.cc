#include "plugins/builtin/unspaced_words.h"

#include <algorithm>
#include <array>

#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

namespace unroll::builtin {
namespace {

struct Close {
  void operator()(UBreakIterator* breaks) const { ubrk_close(breaks); }
  void operator()(UText* text) const { utext_close(text); }
};
using Breaks = std::unique_ptr<UBreakIterator, Close>;

/// Calls visit(begin, end, is a word) for each segment of UTF-8 text. Leaves out all of it if ICU fails.
template <class Visit>
void for_each_segment(UBreakIterator* breaks, std::string_view text, Visit visit) {
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<UText, Close> opened(
      utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &error));
  if (breaks == nullptr) return;
  ubrk_setUText(breaks, opened.get(), &error);
  if (U_FAILURE(error)) return;
  for (std::int32_t begin = 0, end = 0; (end = ubrk_next(breaks)) != UBRK_DONE; begin = end)
    visit(static_cast<std::size_t>(begin), static_cast<std::size_t>(end),
          ubrk_getRuleStatus(breaks) >= UBRK_WORD_NONE_LIMIT);
}

UBreakIterator* open_breaks() {
  UErrorCode error = U_ZERO_ERROR;
  UBreakIterator* breaks = ubrk_open(UBRK_WORD, "", nullptr, 0, &error);
  return U_FAILURE(error) ? nullptr : breaks;
}

/// Where the character before `end` begins.
std::size_t character_before(std::string_view text, std::size_t end) {
  auto at = static_cast<std::int32_t>(end);
  U8_BACK_1(reinterpret_cast<const std::uint8_t*>(text.data()), 0, at);
  return static_cast<std::size_t>(at);
}

/// Whether the character at `at` goes with the word after it.
bool opens_word(std::string_view text, std::size_t at) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  auto next = static_cast<std::int32_t>(at);
  UChar32 c = 0;
  U8_NEXT(bytes, next, static_cast<std::int32_t>(text.size()), c);
  const auto kinds = c < 0 ? 0 : U_MASK(::u_charType(c));
  return (kinds & (U_GC_PS_MASK | U_GC_PI_MASK | U_GC_SC_MASK)) != 0;
}

}  // namespace

std::vector<std::size_t> UnspacedWords::ends(std::string_view text) {
  bool spaced = true;
  for (std::size_t i = 0; spaced && i < text.size(); ++i) spaced = !is_unspaced(text.substr(i));
  std::vector<std::size_t> ends;
  if (!spaced) {
    if (!breaks_) breaks_.reset(open_breaks());
    std::size_t end_before = 0;  // of the word before, if there is one
    for_each_segment(breaks_.get(), text, [&](std::size_t begin, std::size_t end, bool is_word) {
      if (!is_word) return;
      if (end_before > 0 &&
          (is_unspaced(text.substr(begin)) || is_unspaced(text.substr(character_before(text, end_before))))) {
        std::size_t boundary = begin;
        while (boundary > end_before && opens_word(text, character_before(text, boundary)))
          boundary = character_before(text, boundary);
        ends.push_back(boundary);
      }
      end_before = end;
    });
  }
  ends.push_back(text.size());
  return ends;
}

std::size_t count_unspaced_words(std::string_view text) {
  std::size_t words = 0;
  for_each_segment(Breaks(open_breaks()).get(), text,
                   [&](std::size_t, std::size_t, bool is_word) { words += is_word ? 1 : 0; });
  return words;
}

bool goes_on_from_clause(std::string_view text) {
  static constexpr std::array kConnectives = std::to_array<std::string_view>(
      {"และ", "หรือ", "แต่",   "ที่",   "ซึ่ง",    "เพราะ", "เนื่องจาก", "โดย", "ว่า",   "ให้",  "เพื่อ", "จึง", "ก็",
       "กับ",  "จาก", "ถึง",   "ด้วย", "รวมทั้ง", "รวมถึง", "เช่น",     "คือ",  "ได้แก่", "ແລະ", "ຫຼື",   "ແຕ່", "ທີ່",
       "ເຊິ່ງ", "ຊຶ່ງ",  "ເພາະ", "ໂດຍ", "ວ່າ",    "ໃຫ້",    "ເພື່ອ",     "ຈຶ່ງ",  "ກໍ",    "ກັບ",  "ຄື",   "ເຊັ່ນ"});
  return std::ranges::any_of(kConnectives, [&](std::string_view word) { return text.starts_with(word); });
}

}  // namespace unroll::builtin
