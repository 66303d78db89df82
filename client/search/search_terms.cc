#include "client/search/search_terms.h"

#include <algorithm>
#include <memory>

#include <libstemmer.h>
#include <unicode/casemap.h>
#include <unicode/ubrk.h>
#include <unicode/utext.h>
#include <xxhash.h>

namespace unroll {
namespace {

struct Close {
  void operator()(UBreakIterator* breaks) const { ubrk_close(breaks); }
  void operator()(UText* text) const { utext_close(text); }
  void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};

std::string folded(std::string_view text) {
  std::string result;
  UErrorCode error = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&result, static_cast<std::int32_t>(text.size()));
  icu::CaseMap::utf8Fold(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr, error);
  return result;
}

std::string_view stem_of(sb_stemmer* stemmer, std::string_view word) {
  if (stemmer == nullptr) return word;
  const auto* stem = sb_stemmer_stem(stemmer, reinterpret_cast<const sb_symbol*>(word.data()),
                                     static_cast<int>(word.size()));
  if (stem == nullptr) return word;
  return {reinterpret_cast<const char*>(stem), static_cast<std::size_t>(sb_stemmer_length(stemmer))};
}

}  // namespace

std::vector<std::uint32_t> search_terms(std::string_view text, const std::string& language) {
  const std::string low = folded(text);
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<UText, Close> opened(
      utext_openUTF8(nullptr, low.data(), static_cast<std::int64_t>(low.size()), &error));
  const std::unique_ptr<UBreakIterator, Close> breaks(ubrk_open(UBRK_WORD, "", nullptr, 0, &error));
  ubrk_setUText(breaks.get(), opened.get(), &error);
  std::vector<std::uint32_t> terms;
  if (U_FAILURE(error)) return terms;
  const std::unique_ptr<sb_stemmer, Close> stemmer(
      language.empty() ? nullptr : sb_stemmer_new(language.c_str(), nullptr));
  for (std::int32_t begin = 0, end = 0; (end = ubrk_next(breaks.get())) != UBRK_DONE; begin = end) {
    if (ubrk_getRuleStatus(breaks.get()) < UBRK_WORD_NONE_LIMIT) continue;
    const auto word =
        std::string_view(low).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    const std::string_view stem = stem_of(stemmer.get(), word);
    terms.push_back(static_cast<std::uint32_t>(::XXH3_64bits(stem.data(), stem.size())));
  }
  return terms;
}

std::vector<TermCount> count_terms(std::vector<std::uint32_t> terms) {
  std::ranges::sort(terms);
  std::vector<TermCount> counts;
  for (const std::uint32_t term : terms) {
    if (counts.empty() || counts.back().term != term) counts.push_back({term, 0});
    ++counts.back().count;
  }
  return counts;
}

}  // namespace unroll
