#include "client/documents/formats/decoding.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>

#include <uchardet.h>
#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/utf8.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "client/documents/formats/text_builder.h"
#include "client/documents/kind.h"
#include "client/documents/text_look.h"

namespace unroll::formats {
namespace {

constexpr const char* kWestern = "windows-1252";

using Converter = std::unique_ptr<UConverter, decltype(&::ucnv_close)>;

bool is_name_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::ranges::any_of(names,
                             [&](const char* each) { return ::ucnv_compareNames(name.c_str(), each) == 0; });
}

/// What a name means on the web (WHATWG's Encoding Standard): the vendors' supersets of the standards that
/// documents name. And uchardet's names that ICU does not know.
std::string meant_by(const std::string& name) {
  if (is_name_of(name, {"ISO-8859-1", "US-ASCII", "latin1", "ASCII", "l1", "cp819"})) return kWestern;
  if (is_name_of(name, {"ISO-8859-9", "latin5", "l5"})) return "windows-1254";
  if (is_name_of(name, {"ISO-8859-11", "TIS-620"})) return "windows-874";
  if (is_name_of(name, {"GB2312", "GB_2312-80", "x-gbk", "gbk", "cp936", "EUC-CN"})) return "GB18030";
  if (is_name_of(name, {"Shift_JIS", "x-sjis", "sjis", "ms_kanji"})) return "windows-31j";
  if (is_name_of(name, {"EUC-KR", "ks_c_5601-1987", "UHC", "korean"})) return "windows-949";
  if (is_name_of(name, {"MAC-CYRILLIC"})) return "x-mac-cyrillic";
  if (is_name_of(name, {"MAC-CENTRALEUROPE"})) return "x-mac-centraleurroman";
  if (is_name_of(name, {"MacRoman", "x-mac-roman"})) return "macintosh";
  return name;
}

Converter open_converter(const std::string& encoding) {
  UErrorCode status = U_ZERO_ERROR;
  Converter converter(::ucnv_open(meant_by(encoding).c_str(), &status), &::ucnv_close);
  if (U_FAILURE(status)) converter.reset();
  return converter;
}

void append_character(std::string& utf8, UChar32 code) {
  std::array<char, 4> bytes{};
  std::int32_t length = 0;
  if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = 0xFFFD;
  U8_APPEND_UNSAFE(bytes.data(), length, code);
  utf8.append(bytes.data(), static_cast<std::size_t>(length));
}

/// Calls take(code point, source bytes) for each character.
template <class Take>
void convert(UConverter* converter, std::string_view bytes, Take take) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (at < end) {
    UErrorCode status = U_ZERO_ERROR;
    const char* const begin = at;
    const UChar32 code = ::ucnv_getNextUChar(converter, &at, end, &status);
    if (at == begin) ++at;
    if (status == U_INDEX_OUTOFBOUNDS_ERROR) return;
    take(U_FAILURE(status) ? 0xFFFD : code, static_cast<std::uint64_t>(at - begin));
  }
}

/// Whether each of its characters is one byte.
bool has_single_bytes(const std::string& encoding) {
  const Converter converter = open_converter(encoding);
  return converter && ::ucnv_getMaxCharSize(converter.get()) == 1;
}

/// How many of the bytes beyond ASCII beside small letters are a small letter or an apostrophe in an
/// encoding, and how many are not.
struct Fit {
  std::size_t good = 0, bad = 0;
};

Fit fit_of(const std::string& encoding, std::string_view bytes) {
  constexpr std::size_t kTable = 256;
  constexpr char32_t kApostrophe = 0x2019;
  std::array<bool, kTable> fits{};
  for (std::size_t byte = 0x80; byte < kTable; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string text = decode_piece({&c, 1}, encoding);
    const char32_t code = text.empty() ? 0 : next_utf8(text).code;
    fits.at(byte) = ::u_islower(static_cast<UChar32>(code)) != 0 || code == kApostrophe;
  }
  Fit fit;
  for (std::size_t i = 1; i + 1 < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte < 0x80 || !ascii::is_lower(bytes[i - 1]) || !ascii::is_lower(bytes[i + 1])) continue;
    ++(fits.at(byte) ? fit.good : fit.bad);
  }
  return fit;
}

/// uchardet knows neither MacRoman nor the code pages of western DOS. In a wrong encoding of the three, signs
/// and capitals stand within words.
std::string western_beside(const std::string& guessed, std::string_view bytes) {
  if (!has_single_bytes(guessed)) return guessed;
  const Fit of_guess = fit_of(guessed, bytes);
  if (of_guess.good + of_guess.bad == 0 || of_guess.bad * 10 < of_guess.good) return guessed;
  std::string best = guessed;
  std::size_t best_good = of_guess.good;
  for (const char* other : {kWestern, "macintosh", "ibm-850"}) {
    const Fit fit = fit_of(other, bytes);
    if (fit.bad * 10 >= fit.good || fit.good <= best_good) continue;
    best = other;
    best_good = fit.good;
  }
  return best;
}

std::string guess(std::string_view bytes) {
  const std::unique_ptr<struct uchardet, decltype(&::uchardet_delete)> detector(::uchardet_new(),
                                                                                &::uchardet_delete);
  const std::string_view sample = bytes.substr(0, kLookedAtBytes);
  ::uchardet_handle_data(detector.get(), sample.data(), sample.size());
  ::uchardet_data_end(detector.get());
  const std::string name = ::uchardet_get_charset(detector.get());
  return western_beside(name.empty() || !open_converter(name) ? kWestern : name, sample);
}

Decoding decode_utf8(std::string_view bytes, std::uint64_t begin) {
  Decoding decoding;
  decoding.encoding = "UTF-8";
  if (begin > 0) decoding.append("", begin);
  std::size_t good = 0;
  const auto flush = [&](std::size_t end) {
    if (end > good) decoding.append(bytes.substr(good, end - good), end - good);
  };
  for (std::size_t at = 0; at < bytes.size();) {
    const Utf8 character = next_utf8(bytes.substr(at, 4));
    if (!character.valid) {
      flush(at);
      decoding.append(kReplacement, 1);
      good = at + 1;
    }
    at += character.bytes;
  }
  flush(bytes.size());
  return decoding;
}

Decoding decode_with(UConverter* converter, std::string_view bytes, std::uint64_t begin) {
  Decoding decoding;
  if (begin > 0) decoding.append("", begin);
  std::string character;
  convert(converter, bytes, [&](UChar32 code, std::uint64_t source_bytes) {
    character.clear();
    append_character(character, code);
    decoding.append(character, source_bytes);
  });
  return decoding;
}

bool is_utf8_name(const std::string& name) {
  return ::ucnv_compareNames(name.c_str(), "UTF-8") == 0;
}

/// Whether a document is what it declares. Many declare what their template did.
bool may_be(const std::string& declared, const TextLook& look) {
  if (declared.empty() || !open_converter(declared)) return false;
  if (is_utf8_name(declared)) return look.utf8;
  // Bytes in wide units were recognised.
  if (ascii::lower(declared).starts_with("utf-16") || ascii::lower(declared).starts_with("utf-32"))
    return false;
  // By chance a character of two bytes is valid UTF-8, too, one time in seven.
  constexpr std::size_t kMostByChance = 8;
  return look.utf8_characters < (has_single_bytes(declared) ? 1 : kMostByChance);
}

}  // namespace

void Decoding::append(std::string_view utf8, std::uint64_t source_bytes) {
  const std::uint64_t source = source_end_;
  source_end_ += source_bytes;
  if (utf8.empty()) return;
  if (!stretches_.empty() &&
      stretches_.back().bytes * source_bytes == utf8.size() * stretches_.back().source_bytes) {
    Stretch& last = stretches_.back();
    if (last.source + (text.size() - last.text) * last.source_bytes / last.bytes == source) {
      text += utf8;
      return;
    }
  }
  stretches_.push_back({text.size(), source, utf8.size(), source_bytes});
  text += utf8;
}

Decoding Decoding::same(std::string text, std::uint64_t begin, std::string encoding) {
  Decoding decoding;
  decoding.source_end_ = begin;
  decoding.append(text, text.size());
  decoding.encoding = std::move(encoding);
  return decoding;
}

Decoding decode(std::string_view bytes, const std::string& declared, const std::string& wanted) {
  const TextLook look = look_at_text(bytes.substr(0, kLookedAtBytes));
  if (wanted.empty() && !look.noise.empty())
    throw Unreadable("is " + look.noise + ", not text; if it is text, name its encoding with --encoding");
  if (!wanted.empty() && !open_converter(wanted))
    throw Unreadable("cannot be read as '" + wanted +
                     "', which is no known encoding; name another one with --encoding");
  std::string encoding = !wanted.empty() ? wanted : !look.unicode.empty() ? look.unicode : "";
  bool guessed = false;
  if (encoding.empty() && may_be(declared, look)) encoding = declared;
  // Bytes that are valid UTF-8 with other than ASCII characters are nothing else.
  if (encoding.empty() && look.utf8) encoding = "UTF-8";
  if (encoding.empty()) {
    encoding = guess(bytes);
    guessed = true;
  }
  bytes.remove_prefix(std::min(look.mark_bytes, bytes.size()));
  Decoding decoding = is_utf8_name(encoding)
                          ? decode_utf8(bytes, look.mark_bytes)
                          : decode_with(open_converter(encoding).get(), bytes, look.mark_bytes);
  decoding.encoding = is_utf8_name(encoding) ? "UTF-8" : encoding;
  decoding.guessed = guessed;
  return decoding;
}

std::string declared_in_markup(std::string_view bytes) {
  const std::string_view begin = bytes.substr(0, 4096);
  for (const std::string_view key : {"encoding=", "charset="}) {
    const std::size_t at = begin.find(key);
    if (at == std::string_view::npos) continue;
    std::string_view value = begin.substr(at + key.size());
    if (value.starts_with('"') || value.starts_with('\'')) value.remove_prefix(1);
    value = value.substr(0, value.find_first_of("\"' />;\r\n"));
    if (!value.empty() && value.size() < 40) return std::string(value);
  }
  return "";
}

std::string decode_piece(std::string_view bytes, const std::string& encoding) {
  const Converter converter = open_converter(encoding);
  std::string text;
  if (!converter) return text;
  convert(converter.get(), bytes, [&](UChar32 code, std::uint64_t) { append_character(text, code); });
  return text;
}

}  // namespace unroll::formats
