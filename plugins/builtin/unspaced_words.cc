#include "plugins/builtin/unspaced_words.h"

#include <algorithm>
#include <array>
#include <memory>

#include <unicode/ubrk.h>
#include <unicode/utext.h>

namespace unroll::builtin {
namespace {

struct Close {
  void operator()(UBreakIterator* breaks) const { ubrk_close(breaks); }
  void operator()(UText* text) const { utext_close(text); }
};

}  // namespace

std::size_t count_unspaced_words(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<UText, Close> opened(
      utext_openUTF8(nullptr, text.data(), static_cast<std::int64_t>(text.size()), &error));
  const std::unique_ptr<UBreakIterator, Close> breaks(ubrk_open(UBRK_WORD, "", nullptr, 0, &error));
  ubrk_setUText(breaks.get(), opened.get(), &error);
  if (U_FAILURE(error)) return 0;
  std::size_t words = 0;
  while (ubrk_next(breaks.get()) != UBRK_DONE)
    words += ubrk_getRuleStatus(breaks.get()) >= UBRK_WORD_NONE_LIMIT ? 1 : 0;
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
