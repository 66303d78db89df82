// Bytes as regular expressions see them: UTF-16 and, if the vocabulary asks for it, Unicode's normal form C.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// The longest run of characters that is composed as one: longer ones (a letter with more than a hundred
/// accents) are composed in parts.
inline constexpr std::size_t kMaxClusterBytes = 256;

/// One thread. A byte that is no part of a UTF-8 character is a unit of its own, U+FFFD, and stays that byte.
class DecodedText {
 public:
  /// Decodes `bytes`, which must outlive this. Without `last` more will follow: what that could change, at
  /// most a character and the accents on it, is left out.
  void decode(std::string_view bytes, bool last, bool nfc);

  const std::u16string& units() const { return units_; }
  std::size_t size() const { return units_.size(); }
  /// Where the unit (size(): the end) is in text().
  std::size_t place(std::size_t unit) const { return places_[unit]; }
  /// UTF-8 of the units.
  std::string_view text() const { return text_; }
  /// The decoded bytes are their own normal form: text() is `bytes`, as far as they are decoded.
  bool is_original() const { return origins_.empty(); }
  /// Where a place in text() is in the decoded bytes. Within characters that composing changed it is
  /// interpolated.
  std::size_t origin(std::size_t place) const { return is_original() ? place : origins_[place]; }
  /// Decoding again from the unit's origin on gives the same units.
  bool can_restart(std::size_t unit) const { return has(unit, kRestart); }
  /// The last unit whose character ends within `bytes` original bytes from `unit` on and where composing
  /// begins anew. What bytes follow those makes no difference. Call it with rising units.
  std::size_t window_end(std::size_t unit, std::size_t bytes);

 private:
  enum Flag : std::uint8_t { kStart = 1, kRestart = 2 };
  bool has(std::size_t unit, Flag flag) const;
  /// Units up to the last that cannot change any more.
  void decode_utf8(std::string_view bytes, bool last);
  void compose(bool last);
  void append_cluster(std::size_t begin, std::size_t end, bool normal, bool cut);
  std::size_t next(std::size_t raw_unit) const;

  std::u16string units_, raw_;  // composed, and as decoded (if that is another)
  std::vector<std::uint32_t> places_, raw_places_, origins_;
  std::vector<std::uint8_t> flags_;  // by unit; empty: both, for each character
  std::string composed_;
  std::string_view text_, bytes_;
  std::size_t window_ = 0;
};

}  // namespace unroll
