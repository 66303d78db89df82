// Finds sentence boundaries in a stream of bytes: the rules of Unicode's UAX 29 over ICU's properties, with
// these tailorings:
//   1. A stop of a script with spaces ends a sentence only before white space.
//   2. A lower-case letter continues a sentence after ! and ?, too ("Why?" she asked).
//   3. An abbreviation does not end a sentence; one that may end it (U.S., etc., an initial) does only if a
//   word follows that
//      often begins a sentence. Neither does an ordinal ("am 3. Oktober").
//   4. A number may begin a sentence. A dash before a capital may ("-No, dijo").
//   5. An ellipsis is a full stop. A line end is white space.
//   6. Nothing ends within East Asian quotation marks, nor before a guillemet that closes ("Vraiment ? >>").
// docs/score.md lists them for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "plugins/builtin/abbreviations.h"
#include "plugins/builtin/sentence_text.h"

namespace unroll::builtin {

/// Decides for each byte which sentence it belongs to. Bytes after a stop form a gap until what follows tells
/// on which side of the boundary they are.
class SentenceEnd {
 public:
  enum class Place {
    kInside,  ///< It belongs to the same sentence as the gap and the bytes before it.
    kGap,     ///< It extends the gap.
    kBegins   ///< The gap and this byte belong to a new sentence.
  };

  /// Whether the next byte may begin a sentence or extend a gap.
  bool stopped() const { return phase_ != Phase::kText; }

  Place take(char c) {
    bytes_.push_back(c);
    const std::size_t length = expected_length(bytes_[0]);
    const bool continues = bytes_.size() == 1 || continues_utf8(c);
    if (continues && bytes_.size() < length) return stopped() ? Place::kGap : Place::kInside;
    const char32_t code = continues ? decoded() : kNoCharacter;
    const Place place = character(code);
    if (phase_ == Phase::kText || phase_ == Phase::kStop) remember();
    bytes_.clear();
    return place;
  }
  /// The sentence ends here, whatever follows.
  void reset() { *this = {}; }
  void visit(auto& archive) {
    archive(phase_byte_, tail_, bytes_, word_, skipped_, depth_, inside_, guillemet_, stop_is_full_,
            stop_is_wide_, quoted_stop_);
    phase_ = static_cast<Phase>(phase_byte_ % 5);
  }

 private:
  enum class Phase : std::uint8_t {
    kText,
    kStop,     ///< After a stop and closing marks.
    kSpace,    ///< And white space.
    kSkipped,  ///< And marks or digits that do not tell; a letter will.
    kWord      ///< In the word that tells.
  };
  static constexpr std::size_t kTail = 24;  ///< The longest abbreviation and what is before it.
  static constexpr std::uint32_t kMostSkipped = 64;
  static constexpr std::uint32_t kMostQuoted = 1000;  ///< Characters; then a quotation mark was not closed.
  static constexpr char32_t kNoCharacter = 0xFFFD;

  static constexpr std::size_t expected_length(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0xC2 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : byte < 0xF5 ? 4 : 1;
  }
  static constexpr bool continues_utf8(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

  char32_t decoded() const {
    std::int32_t at = 0;
    UChar32 code = 0;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(bytes_.data());
    U8_NEXT(bytes, at, static_cast<std::int32_t>(bytes_.size()), code);
    return code < 0 ? kNoCharacter : static_cast<char32_t>(code);
  }

  Place go(Phase phase, Place place) {
    phase_ = phase;
    phase_byte_ = static_cast<std::uint8_t>(phase);
    return place;
  }
  /// The gap belongs to the sentence before it.
  Place continues() {
    if (phase_ != Phase::kStop) tail_ += ' ';
    tail_ += word_;
    word_.clear();
    return go(Phase::kText, Place::kInside);
  }
  Place begins() {
    tail_ = word_;
    word_.clear();
    return go(Phase::kText, Place::kBegins);
  }

  /// A full stop, or another stop; 0 if it is none.
  enum class Stop { kNone, kFull, kOther };
  static Stop stop_of(char32_t c, int property) {
    if (property == U_SB_ATERM || c == 0x2026) return Stop::kFull;
    return property == U_SB_STERM ? Stop::kOther : Stop::kNone;
  }

  /// Scripts without spaces between sentences.
  static bool is_wide(char32_t c) { return c >= 0x3000 || c == 0x104B || c == 0x17D4; }

  void note_quotes(char32_t c) {
    if (c == 0x300C || c == 0x300E) ++depth_;  // corner brackets
    if ((c == 0x300D || c == 0x300F) && depth_ > 0) --depth_;
    inside_ = depth_ > 0 ? inside_ + 1 : 0;
    if (inside_ > kMostQuoted) depth_ = 0;
    if (c != 0xAB && c != 0xBB) return;
    guillemet_ = guillemet_ == 0 ? static_cast<std::uint32_t>(c) : guillemet_ == c ? guillemet_ : 0;
  }
  bool closes_guillemet(char32_t c) const {
    return (c == 0xAB || c == 0xBB) && guillemet_ != 0 && guillemet_ != c;
  }

  Place character(char32_t c) {
    const auto code = static_cast<UChar32>(c);
    const int property = ::u_getIntPropertyValue(code, UCHAR_SENTENCE_BREAK);
    const bool closing_guillemet = closes_guillemet(c);
    const bool was_quoted = depth_ > 0;
    note_quotes(c);
    const Stop stop = stop_of(c, property);
    if (phase_ == Phase::kText) {
      if (was_quoted) return quoted(c, stop);
      return stop == Stop::kNone ? Place::kInside : stopped_by(c, stop);
    }
    if (property == U_SB_EXTEND || property == U_SB_FORMAT)
      return phase_ == Phase::kStop ? Place::kInside : Place::kGap;
    if (stop != Stop::kNone && phase_ != Phase::kWord) return stopped_by(c, stop);
    switch (phase_) {
      case Phase::kStop:
        return after_stop(c, property);
      case Phase::kSpace:
      case Phase::kSkipped:
        if (closing_guillemet) return go(Phase::kStop, Place::kInside);
        return after_space(c, property);
      default: {
        const Place place = in_word(c, property);
        if (stop != Stop::kNone) stopped_by(c, stop);  // the word is a sentence's last, too
        return place;
      }
    }
  }

  Place stopped_by(char32_t c, Stop stop) {
    stop_is_full_ = stop == Stop::kFull;
    quoted_stop_ = false;
    stop_is_wide_ = is_wide(c);
    return go(Phase::kStop, Place::kInside);
  }

  /// Nothing ends within the quotation, but what ended there may end the sentence around it.
  Place quoted(char32_t c, Stop stop) {
    const bool closes = ::u_charType(static_cast<UChar32>(c)) == U_END_PUNCTUATION;
    if (closes && depth_ == 0 && quoted_stop_) {
      stop_is_full_ = false;
      stop_is_wide_ = true;
      return go(Phase::kStop, Place::kInside);
    }
    quoted_stop_ = stop != Stop::kNone || (closes && quoted_stop_);
    return Place::kInside;
  }

  Place after_stop(char32_t c, int property) {
    if (is_space_property(property)) return go(Phase::kSpace, Place::kGap);
    const int category = ::u_charType(static_cast<UChar32>(c));
    const bool opens = category == U_START_PUNCTUATION || category == U_INITIAL_PUNCTUATION;
    if (property == U_SB_CLOSE && !(stop_is_wide_ && opens)) return Place::kInside;
    const bool japanese_said = quoted_stop_ && c == 0x3068;  // "to", after a quotation
    quoted_stop_ = false;
    if (!stop_is_wide_ || property == U_SB_SCONTINUE || japanese_said) return continues();
    return begins();
  }

  Place after_space(char32_t c, int property) {
    if (is_space_property(property)) return go(phase_, Place::kGap);
    const bool first = phase_ == Phase::kSpace;
    if (first) skipped_ = 0;
    const bool dash = c == 0x2013 || c == 0x2014 || c == '-';
    if (property == U_SB_SCONTINUE && !dash) return continues();
    if (property == U_SB_NUMERIC && first)
      return stop_is_full_ && stays_before_number() ? continues() : begins();
    if (property == U_SB_LOWER || property == U_SB_UPPER || property == U_SB_OLETTER)
      return first_letter(property);
    if (++skipped_ > kMostSkipped) return begins();
    return go(Phase::kSkipped, Place::kGap);
  }

  Place first_letter(int property) {
    const Abbreviation kind = stop_is_full_ ? abbreviation_at_end(tail_) : Abbreviation::kNone;
    if (kind == Abbreviation::kAlways) return continues();
    if (property == U_SB_OLETTER) return kind == Abbreviation::kMaybe ? continues() : begins();
    if (property == U_SB_UPPER && kind == Abbreviation::kNone) return begins();
    word_ = bytes_;
    return go(Phase::kWord, Place::kGap);
  }

  /// The word is complete, or tells enough: "iPhone" begins a sentence, "the" does not.
  Place in_word(char32_t, int property) {
    const bool letter = property == U_SB_LOWER || property == U_SB_UPPER || property == U_SB_OLETTER;
    const bool began_lower = !word_.empty() && ::u_islower(first_of(word_)) != 0;
    if (began_lower)
      return property == U_SB_UPPER && abbreviation_at_end(tail_) == Abbreviation::kNone ? begins()
                                                                                         : continues();
    if (letter && word_.size() < kTail) {
      word_ += bytes_;
      return Place::kGap;
    }
    return often_begins_sentence(word_) ? begins() : continues();
  }

  static UChar32 first_of(std::string_view text) {
    std::int32_t at = 0;
    UChar32 code = 0;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    U8_NEXT(bytes, at, static_cast<std::int32_t>(text.size()), code);
    return code;
  }

  static bool is_space_property(int property) {
    return property == U_SB_SP || property == U_SB_SEP || property == U_SB_CR || property == U_SB_LF;
  }
  bool stays_before_number() const {
    const Abbreviation kind = abbreviation_at_end(tail_);
    return kind != Abbreviation::kNone || precedes_number(tail_);
  }

  /// Keeps the last bytes of the sentence; white space as one space.
  void remember() {
    for (const char c : bytes_) {
      if (!is_space(c)) {
        tail_.push_back(c);
      } else if (!tail_.empty() && tail_.back() != ' ') {
        tail_.push_back(' ');
      }
    }
    if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  }

  Phase phase_ = Phase::kText;
  std::uint8_t phase_byte_ = 0;      ///< The same, for the saved state.
  std::string tail_, bytes_, word_;  ///< bytes_: of an incomplete character.
  std::uint32_t skipped_ = 0, depth_ = 0, inside_ = 0, guillemet_ = 0;
  bool stop_is_full_ = false, stop_is_wide_ = false, quoted_stop_ = false;
};

}  // namespace unroll::builtin
