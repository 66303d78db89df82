#include "client/documents/formats/decoding.h"

#include <array>
#include <memory>

#include <uchardet.h>
#include <unicode/ucnv.h>
#include <unicode/utf8.h>

#include "base/utf8.h"
#include "client/documents/formats/text_builder.h"
#include "client/documents/kind.h"
#include "client/documents/text_look.h"

namespace unroll::formats {
namespace {

using Converter = std::unique_ptr<UConverter, decltype(&::ucnv_close)>;

Converter open_converter(const std::string& encoding) {
  UErrorCode status = U_ZERO_ERROR;
  // What names itself Latin-1 is nearly always Windows' superset, as browsers read it.
  std::string name = encoding;
  if (::ucnv_compareNames(name.c_str(), "ISO-8859-1") == 0 ||
      ::ucnv_compareNames(name.c_str(), "US-ASCII") == 0 ||
      ::ucnv_compareNames(name.c_str(), "latin1") == 0 || ::ucnv_compareNames(name.c_str(), "ASCII") == 0)
    name = "windows-1252";
  Converter converter(::ucnv_open(name.c_str(), &status), &::ucnv_close);
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

std::string guess(std::string_view bytes) {
  const std::unique_ptr<struct uchardet, decltype(&::uchardet_delete)> detector(::uchardet_new(),
                                                                                &::uchardet_delete);
  const std::string_view sample = bytes.substr(0, kLookedAtBytes);
  ::uchardet_handle_data(detector.get(), sample.data(), sample.size());
  ::uchardet_data_end(detector.get());
  const std::string name = ::uchardet_get_charset(detector.get());
  return name.empty() || !open_converter(name) ? "windows-1252" : name;
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
  if (encoding.empty() && !declared.empty() && open_converter(declared) &&
      (!look.utf8 || !is_utf8_name(declared)))
    encoding = declared;
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
  decoding.encoding = encoding;
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
