#include "plugins/builtin/document_language.h"

#include <algorithm>
#include <array>

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

namespace unroll::builtin {
namespace {

/// ISO 639-1, for the codes that CLD2 still writes as browsers once did; without a script or region.
std::string normalised_code(std::string_view code) {
  code = code.substr(0, code.find('-'));
  if (code == "iw") return "he";
  if (code == "no") return "nb";
  return std::string(code);
}

}  // namespace

DocumentLanguage::DocumentLanguage(std::string given) : given_(std::move(given)) {
  const bool letters = std::ranges::all_of(given_, [](char c) { return c >= 'a' && c <= 'z'; });
  if (!given_.empty() && (!letters || given_.size() < 2 || given_.size() > 3)) {
    throw plugin::OptionsError("option \"language\" is \"" + given_ +
                               "\"; it must be a code of ISO 639 in lower case, such as \"de\"");
  }
  code_ = given_;
}

const Abbreviations& DocumentLanguage::abbreviations() {
  if (!words_) words_ = std::make_shared<const Abbreviations>(code_);
  return *words_;
}

void DocumentLanguage::read(std::string_view text) {
  if (!given_.empty() || next_ == 0) return;
  sample_ += text.substr(0, kSample - sample_.size());
  if (sample_.size() < next_) return;
  detect();
  next_ = std::min<std::uint64_t>(sample_.size() + sample_.size() / 4, kSample);
  if (sample_.size() < kSample) return;
  next_ = 0;
  sample_.clear();
}

void DocumentLanguage::detect() {
  constexpr int kMostOfText = 70;  // percent of the letters
  const CLD2::CLDHints none{nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  std::array<CLD2::Language, 3> languages{};
  std::array<int, 3> percents{};
  std::array<double, 3> scores{};
  int letters = 0, valid = 0;
  bool sure = false;
  const auto ask = [&](std::size_t bytes) {
    CLD2::ExtDetectLanguageSummaryCheckUTF8(sample_.data(), static_cast<int>(bytes), true, &none, 0,
                                            languages.data(), percents.data(), scores.data(), nullptr,
                                            &letters, &sure, &valid);
  };
  ask(sample_.size());
  if (static_cast<std::size_t>(valid) < sample_.size())
    ask(static_cast<std::size_t>(valid));  // a cut character
  std::string found;
  if (sure && percents[0] >= kMostOfText && languages[0] != CLD2::UNKNOWN_LANGUAGE)
    found = normalised_code(CLD2::LanguageCode(languages[0]));
  if (found == code_) return;
  code_ = std::move(found);
  words_.reset();
}

}  // namespace unroll::builtin
