#include "tokenizer/decoded_text.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include <unicode/normalizer2.h>
#include <unicode/unistr.h>
#include <unicode/utf16.h>

#include "base/utf8.h"

namespace unroll {
namespace {

/// Below it no character composes with the one before.
constexpr char16_t kFirstCombining = 0x300;

const icu::Normalizer2& nfc_instance() {
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU has no NFC data: ") + u_errorName(status));
  return *nfc;
}

/// Borrows the units.
icu::UnicodeString borrowed(const std::u16string& units, std::size_t begin, std::size_t end) {
  return {false, units.data() + begin, static_cast<std::int32_t>(end - begin)};
}

UChar32 character(const std::u16string& units, std::size_t unit) {
  UChar32 result = units[unit];
  if (U16_IS_LEAD(result) && unit + 1 < units.size()) result = U16_GET_SUPPLEMENTARY(result, units[unit + 1]);
  return result;
}

}  // namespace

void DecodedText::decode(std::string_view bytes, bool last, bool nfc) {
  window_ = 0;
  bytes_ = bytes;
  origins_.clear();
  flags_.clear();
  decode_utf8(bytes, last);
  if (nfc && !units_.empty()) compose(last);
  if (is_original()) text_ = bytes.substr(0, places_.back());
}

void DecodedText::decode_utf8(std::string_view bytes, bool last) {
  units_.clear();
  places_.clear();
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto place = static_cast<std::uint32_t>(at);
    if (static_cast<unsigned char>(bytes[at]) < 0x80) {
      units_.push_back(static_cast<char16_t>(bytes[at++]));
      places_.push_back(place);
      continue;
    }
    const auto decoded = next_utf8(bytes.substr(at));
    if (decoded.cut_off && !last) break;
    if (decoded.code > 0xFFFF) {
      units_.push_back(U16_LEAD(decoded.code));
      places_.push_back(place);
      units_.push_back(U16_TRAIL(decoded.code));
    } else {
      units_.push_back(static_cast<char16_t>(decoded.code));
    }
    places_.push_back(place);
    at += decoded.bytes;
  }
  places_.push_back(static_cast<std::uint32_t>(at));
}

std::size_t DecodedText::next(std::size_t raw_unit) const {
  const bool pair = U16_IS_LEAD(raw_[raw_unit]) && raw_unit + 1 < raw_.size();
  return raw_unit + (pair ? 2 : 1);
}

void DecodedText::compose(bool last) {
  const auto& nfc = nfc_instance();
  if (std::ranges::all_of(units_, [](char16_t unit) { return unit < kFirstCombining; })) {
    if (last || nfc.isInert(units_.back())) return;
    units_.pop_back();
    places_.pop_back();
    return;
  }
  raw_.swap(units_);
  raw_places_.swap(places_);
  units_.clear();
  places_.clear();
  composed_.clear();
  // No following character composes with it.
  const auto ends_cluster = [&](std::size_t unit) {
    const bool byte = raw_[unit] == 0xFFFD && raw_places_[unit + 1] - raw_places_[unit] == 1;
    return byte || nfc.isInert(character(raw_, unit));
  };
  const auto normal_until = [&](std::size_t begin) {
    UErrorCode status = U_ZERO_ERROR;
    const auto length = nfc.spanQuickCheckYes(borrowed(raw_, begin, raw_.size()), status);
    return begin + static_cast<std::size_t>(length);
  };
  auto normal = normal_until(0);
  std::size_t begin = 0;
  while (begin < raw_.size()) {
    auto last_character = begin, end = next(begin);
    bool cut = false;
    while (end < raw_.size() && !nfc.hasBoundaryBefore(character(raw_, end)) &&
           !ends_cluster(last_character)) {
      cut = raw_places_[next(end)] - raw_places_[begin] > kMaxClusterBytes;
      if (cut) break;
      last_character = std::exchange(end, next(end));
    }
    if (end == raw_.size() && !last && !ends_cluster(last_character)) break;
    append_cluster(begin, end, end <= normal, cut);
    if (end > normal) normal = normal_until(end);
    begin = end;
  }
  places_.push_back(static_cast<std::uint32_t>(composed_.size()));
  flags_.push_back(kStart | kRestart);
  origins_.push_back(raw_places_[begin]);
  text_ = composed_;
}

void DecodedText::append_cluster(std::size_t begin, std::size_t end, bool normal, bool cut) {
  const auto first = units_.size();
  const auto origin = raw_places_[begin], bytes = raw_places_[end] - origin;
  const auto place = static_cast<std::uint32_t>(composed_.size());
  icu::UnicodeString form;
  if (!normal) {
    UErrorCode status = U_ZERO_ERROR;
    const auto given = borrowed(raw_, begin, end);
    form = nfc_instance().normalize(given, status);
    if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
    normal = form == given;
  }
  if (normal) {
    units_.append(raw_, begin, end - begin);
    composed_ += bytes_.substr(origin, bytes);
    for (auto unit = begin; unit < end; ++unit) places_.push_back(raw_places_[unit] - origin + place);
    for (std::uint32_t i = 0; i < bytes; ++i) origins_.push_back(origin + i);
  } else {
    for (std::int32_t i = 0; i < form.length(); i += U16_LENGTH(form.char32At(i))) {
      const auto code = form.char32At(i);
      places_.insert(places_.end(), U16_LENGTH(code), static_cast<std::uint32_t>(composed_.size()));
      icu::UnicodeString(code).toUTF8String(composed_);
    }
    units_.append(form.getBuffer(), static_cast<std::size_t>(form.length()));
    const auto size = composed_.size() - place;
    for (std::size_t i = 0; i < size; ++i)
      origins_.push_back(origin + static_cast<std::uint32_t>(i * bytes / size));
  }
  // A part that was changed or cut off cannot be decoded again from its middle.
  flags_.resize(units_.size(), normal && !cut ? kRestart : 0);
  flags_[first] = kStart | kRestart;
}

bool DecodedText::has(std::size_t unit, Flag flag) const {
  if (unit < units_.size() && U16_IS_TRAIL(units_[unit])) return false;
  return flags_.empty() || (flags_[unit] & flag) != 0;
}

std::size_t DecodedText::window_end(std::size_t unit, std::size_t bytes) {
  // A character that begins 4 bytes before the limit ends within it.
  const auto limit = origin(place(unit)) + bytes - 4;
  while (window_ < size() && origin(place(window_ + 1)) <= limit) ++window_;
  auto end = window_;
  while (!has(end, kStart)) --end;
  return end;
}

}  // namespace unroll
