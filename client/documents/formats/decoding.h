// Text in any encoding as UTF-8.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unroll::formats {

/// Text as UTF-8, and where each part of it is in the encoded bytes.
class Decoding {
 public:
  std::string text;
  std::string encoding;  ///< Its name.
  bool guessed = false;

  /// Appends text that comes from `source_bytes` bytes.
  void append(std::string_view utf8, std::uint64_t source_bytes);
  /// Calls take(into, length, source, source_length) for each part of text [offset, offset + length).
  template <class Take>
  void locate(std::uint64_t offset, std::uint64_t length, Take take) const;
  /// The bytes are the text itself, from source byte `begin` on.
  static Decoding same(std::string text, std::uint64_t begin, std::string encoding);

 private:
  /// From text offset `text` on, `bytes` of text come from `source_bytes` bytes of the source, and so on
  /// evenly.
  struct Stretch {
    std::uint64_t text, source, bytes, source_bytes;
  };
  std::vector<Stretch> stretches_;
  std::uint64_t source_end_ = 0;
};

/// `declared`: by the format, such as XML's declaration; empty if there is none. `wanted`: by the user, which
/// counts more. Invalid bytes become U+FFFD. Throws Unreadable if `wanted` is not known, or the text is
/// binary noise.
Decoding decode(std::string_view bytes, const std::string& declared, const std::string& wanted);
/// What the document says: XML's declaration, HTML's meta element.
std::string declared_in_markup(std::string_view bytes);
/// One chunk of text in an encoding by ICU's name, for RTF. Nothing if the encoding is not known.
std::string decode_piece(std::string_view bytes, const std::string& encoding);

// --- Implementation

template <class Take>
void Decoding::locate(std::uint64_t offset, std::uint64_t length, Take take) const {
  const std::uint64_t end = offset + length;
  auto it = std::ranges::upper_bound(stretches_, offset, {}, &Stretch::text);
  if (it == stretches_.begin()) return;
  for (--it; it != stretches_.end() && it->text < end; ++it) {
    const std::uint64_t next = it + 1 == stretches_.end() ? text.size() : (it + 1)->text;
    const std::uint64_t from = std::max(offset, it->text), to = std::min(end, next);
    if (from >= to) continue;
    const auto source = [&](std::uint64_t at) {
      return it->source + (at - it->text) * it->source_bytes / it->bytes;
    };
    take(from - offset, to - from, source(from), source(to) - source(from));
  }
}

}  // namespace unroll::formats
