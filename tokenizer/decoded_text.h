// Bytes decoded for regular expressions: to UTF-16 and, if the vocabulary asks for it, to Unicode's normal
// form C.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// The longest run of characters that is composed as one; longer ones (a letter with more than a hundred
/// accents) are composed in parts.
inline constexpr std::size_t kMaxClusterBytes = 256;

/// One thread. A byte that is not part of a UTF-8 character becomes a unit U+FFFD, but is still encoded as
/// that byte.
class DecodedText {
 public:
  /// Decodes `bytes`, which must outlive this. If more bytes will follow (`last` is false), leaves out what
  /// they could change: at most a character and its accents.
  void decode(std::string_view bytes, bool last, bool nfc);

  const std::u16string& units() const { return units_; }
  std::size_t size() const { return units_.size(); }
  /// The position in text() of a unit, or of the end for size().
  std::size_t place(std::size_t unit) const { return places_[unit]; }
  /// UTF-8 of the units.
  std::string_view text() const { return text_; }
  /// The decoded bytes equal their normal form: text() is the decoded part of `bytes`.
  bool is_original() const { return origins_.empty(); }
  /// The position in the decoded bytes of a position in text(). Interpolated within characters that
  /// composition changed.
  std::size_t origin(std::size_t place) const { return is_original() ? place : origins_[place]; }
  /// Decoding again from the unit's origin gives the same units.
  bool can_restart(std::size_t unit) const { return has(unit, kRestart); }
  /// The last unit that ends within `bytes` original bytes after `unit` and at which composition restarts. It
  /// does not depend on later bytes. Call with rising units.
  std::size_t window_end(std::size_t unit, std::size_t bytes);

 private:
  enum Flag : std::uint8_t { kStart = 1, kRestart = 2 };
  bool has(std::size_t unit, Flag flag) const;
  /// Decodes up to the last unit that can no longer change.
  void decode_utf8(std::string_view bytes, bool last);
  void compose(bool last);
  void append_cluster(std::size_t begin, std::size_t end, bool normal, bool cut);
  std::size_t next(std::size_t raw_unit) const;

  std::u16string units_, raw_;  // composed; and as decoded, if different
  std::vector<std::uint32_t> places_, raw_places_, origins_;
  std::vector<std::uint8_t> flags_;  // by unit; empty: both flags for every character
  std::string composed_;
  std::string_view text_, bytes_;
  std::size_t window_ = 0;
};

}  // namespace unroll
