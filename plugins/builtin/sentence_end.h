// Finds sentence boundaries in a stream of bytes: the rules of Unicode's UAX 29 over ICU's properties, with
// these tailorings. tests/plugins/sentence_break_test.cc compares with Unicode's own test.
//   1. A stop of a script with spaces ends a sentence only before white space.
//   2. A lower-case letter continues a sentence after ! and ?, too ("Why?" she asked).
//   3. An abbreviation does not end a sentence; one that may end it (U.S., etc., an initial) does only if a
//   word
//      follows that often begins a sentence. Neither does an ordinal ("am 3. Oktober").
//   4. A number may begin a sentence. So may a dash before a capital ("-No, dijo") and an ellipsis before a
//   letter.
//   5. An ellipsis is a full stop; " . . ." is an omission. A line end is white space. Greek ; and Armenian :
//   are
//      stops, an Armenian full stop is none.
//   6. Nothing ends within East Asian quotation marks, nor before a guillemet that closes ("Vraiment ? >>").
//   7. In a list within a line each item begins a sentence, and its marker ends none ("1. One 2. Two").
//   8. The numero sign does not begin a sentence. In Cyrillic, Greek and Armenian, a capital directly after
//      the stop begins one.
//   9. Thai and Lao: a space ends a sentence of twelve words and more, if no connective follows.
// docs/score.md lists them for users.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "plugins/builtin/abbreviations.h"
#include "plugins/builtin/characters.h"
#include "plugins/builtin/list_marker.h"
#include "plugins/builtin/unspaced_words.h"

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
  bool stopped() const {
    return phase_ != Phase::kText || (after_space_ ? !next_item_.empty() : is_thai_or_lao(letter_));
  }

  /// `words`: of the document's language. Its address is not kept.
  Place take(char c, const Abbreviations& words) {
    words_ = &words;
    bytes_.push_back(c);
    const std::size_t length = expected_length(bytes_[0]);
    const bool continues = bytes_.size() == 1 || continues_utf8(c);
    if (continues && bytes_.size() < length) return stopped() ? Place::kGap : Place::kInside;
    const char32_t code = continues ? decoded() : kNoCharacter;
    const Place place = character(code);
    if (phase_ == Phase::kText || phase_ == Phase::kStop) remember(code);
    after_space_ = is_space_property(sentence_break(code));
    bytes_.clear();
    return place;
  }
  /// The sentence ends here, whatever follows.
  void reset() { *this = {}; }
  void visit(auto& archive) {
    archive(phase_byte_, tail_, bytes_, word_, next_item_, clause_, skipped_, depth_, inside_, guillemet_,
            letter_, length_, stop_is_full_, stop_is_wide_, quoted_stop_, after_space_);
    phase_ = static_cast<Phase>(phase_byte_ % 8);
  }

 private:
  enum class Phase : std::uint8_t {
    kText,
    kStop,     ///< After a stop and closing marks.
    kSpace,    ///< And white space.
    kSkipped,  ///< And marks or digits that do not tell; a letter will.
    kWord,     ///< In the word that tells.
    kDots,     ///< In dots after white space: an ellipsis that begins a sentence, or a spaced one.
    kItem,     ///< In what may be the marker of the list's next item.
    kClause    ///< After white space within Thai or Lao, in the next clause's first letters.
  };
  static constexpr std::size_t kTail = 24;  ///< The longest abbreviation and what is before it.
  static constexpr std::uint32_t kMostSkipped = 64;
  static constexpr std::uint32_t kMostQuoted = 1000;  ///< Characters; then a quotation mark was not closed.
  static constexpr std::size_t kMostMarker = 12, kKeptClause = 900, kClauseBegin = 24;  // bytes
  static constexpr std::size_t kLeastClauseWords = 12;
  static constexpr char32_t kNoCharacter = 0xFFFD;

  static constexpr std::size_t expected_length(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0xC2 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : byte < 0xF5 ? 4 : 1;
  }
  static constexpr bool continues_utf8(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
  static int sentence_break(char32_t c) {
    return ::u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_SENTENCE_BREAK);
  }

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
    if (phase_ != Phase::kStop) extend(" ");
    extend(word_);
    if (phase_ == Phase::kClause) clause_ += word_;
    word_.clear();
    return go(Phase::kText, Place::kInside);
  }
  Place begins() {
    tail_ = word_;
    length_ = tail_.size();
    clause_ = phase_ == Phase::kClause ? word_ : std::string();
    word_.clear();
    next_item_.clear();
    return go(Phase::kText, Place::kBegins);
  }

  enum class Stop { kNone, kFull, kOther };
  Stop stop_of(char32_t c, int property) const {
    const bool armenian = letter_ >= 0x530 && letter_ < 0x590;
    const bool greek = (letter_ >= 0x370 && letter_ < 0x400) || (letter_ >= 0x1F00 && letter_ < 0x2000);
    if ((c == ';' && greek) || (c == ':' && armenian)) return Stop::kOther;
    if (c == '.' && armenian) return Stop::kNone;
    if (property == U_SB_ATERM || c == 0x2026) return Stop::kFull;
    return property == U_SB_STERM || is_khmer_stop(c) ? Stop::kOther : Stop::kNone;
  }

  /// Stops of scripts without spaces between sentences: East Asia, Burmese, Khmer, Ethiopic.
  static bool is_wide(char32_t c) {
    return c >= 0x3000 || c == 0x104B || is_khmer_stop(c) || (c >= 0x1362 && c <= 0x1368);
  }

  void note_quotes(char32_t c) {
    if (c == 0x300A || c == 0x300C || c == 0x300E) ++depth_;  // corner brackets and titles
    if ((c == 0x300B || c == 0x300D || c == 0x300F) && depth_ > 0) --depth_;
    inside_ = depth_ > 0 ? inside_ + 1 : 0;
    if (inside_ > kMostQuoted) depth_ = 0;
    if (c != 0xAB && c != 0xBB) return;
    guillemet_ = guillemet_ == 0 ? static_cast<std::uint32_t>(c) : guillemet_ == c ? guillemet_ : 0;
  }
  bool closes_guillemet(char32_t c) const {
    return (c == 0xAB || c == 0xBB) && guillemet_ != 0 && guillemet_ != c;
  }

  Place character(char32_t c) {
    const int property = sentence_break(c);
    if (is_space_property(property)) note_marker();
    const bool closing_guillemet = closes_guillemet(c);
    const bool was_quoted = depth_ > 0;
    note_quotes(c);
    const Stop stop = stop_of(c, property);
    if (phase_ == Phase::kText) {
      if (was_quoted) return quoted(c, stop);
      return stop == Stop::kNone ? in_text(property) : stopped_by(c, stop);
    }
    if ((property == U_SB_EXTEND || property == U_SB_FORMAT) && phase_ != Phase::kClause)
      return phase_ == Phase::kStop ? Place::kInside : Place::kGap;
    if (phase_ == Phase::kDots) return in_dots(c, property, stop);
    if (phase_ == Phase::kSpace && stop == Stop::kFull && may_be_dots()) {
      word_ = bytes_;
      return go(Phase::kDots, Place::kGap);
    }
    const bool telling = phase_ == Phase::kWord || phase_ == Phase::kItem || phase_ == Phase::kClause;
    if (stop != Stop::kNone && !telling) return stopped_by(c, stop);
    switch (phase_) {
      case Phase::kStop:
        return after_stop(c, property);
      case Phase::kSpace:
      case Phase::kSkipped:
        if (closing_guillemet) return go(Phase::kStop, Place::kInside);
        return after_space(c, property);
      default: {
        const Place place = phase_ == Phase::kWord   ? in_word(property)
                            : phase_ == Phase::kItem ? in_item(property)
                                                     : in_clause(c, property);
        if (phase_ != Phase::kText) return place;
        if (stop != Stop::kNone) stopped_by(c, stop);  // the word is a sentence's last, too
        return place;
      }
    }
  }

  /// Within a sentence: a list's next item, or a clause of Thai, may begin.
  Place in_text(int property) {
    if (after_space_ && !next_item_.empty() && next_item_.starts_with(bytes_)) {
      word_ = bytes_;
      return go(Phase::kItem, Place::kGap);
    }
    const bool clause_ends =
        is_space_property(property) && is_thai_or_lao(letter_) &&
        (clause_.size() >= kKeptClause || count_unspaced_words(clause_) >= kLeastClauseWords);
    return clause_ends ? go(Phase::kClause, Place::kGap) : Place::kInside;
  }

  Place in_item(int property) {
    if (word_ == next_item_) {
      const bool bullet = ListMarker::of(word_).suffix.empty();
      if (!bullet && !is_space_property(property)) return continues();
      const Place place = begins();
      note_marker();
      return place;
    }
    word_ += bytes_;
    if (next_item_.starts_with(word_)) return Place::kGap;
    word_.resize(word_.size() - bytes_.size());  // which remember() adds
    return continues();
  }

  Place in_clause(char32_t c, int property) {
    if (is_space_property(property) && word_.empty()) return Place::kGap;
    const bool repeats = c == 0x0E46 || c == 0x0EC6;
    if (!is_thai_or_lao(c) || (repeats && word_.empty()) || property == U_SB_NUMERIC)
      return word_.empty() || goes_on_from_clause(word_) ? continues() : begins();
    if (word_.size() + bytes_.size() <= kClauseBegin) {
      word_ += bytes_;
      return Place::kGap;
    }
    return goes_on_from_clause(word_) ? continues() : begins();
  }

  /// Not in a spaced ellipsis, nor after an abbreviation.
  bool may_be_dots() const {
    return stop_is_full_ && !tail_.ends_with(" .") && words_->at_end(tail_) == Abbreviation::kNone;
  }
  Place in_dots(char32_t c, int property, Stop stop) {
    if (stop == Stop::kFull && word_.size() < 4) {
      word_ += bytes_;
      return Place::kGap;
    }
    const bool letter = property == U_SB_LOWER || property == U_SB_UPPER || property == U_SB_OLETTER;
    if (letter && word_.size() >= 3) return begins();
    extend(" " + word_);
    word_.clear();
    phase_ = Phase::kStop;
    if (stop != Stop::kNone) return stopped_by(c, stop);
    const Place place = after_stop(c, property);
    return place == Place::kBegins ? go(Phase::kText, Place::kInside) : place;
  }

  /// At white space: whether the sentence so far is the marker of a list's item.
  void note_marker() {
    if (!next_item_.empty() || length_ != tail_.size() || tail_.size() > kMostMarker) return;
    if (const auto marker = ListMarker::of(tail_); marker.is_one())
      next_item_ = marker.next(words_->has_ordinals());
  }
  bool is_marker() const { return length_ == tail_.size() && ListMarker::of(tail_).is_one(); }

  Place stopped_by(char32_t c, Stop stop) {
    if (phase_ != Phase::kText && phase_ != Phase::kStop) extend(" ");
    stop_is_full_ = stop == Stop::kFull;
    quoted_stop_ = false;
    stop_is_wide_ = is_wide(c);
    return go(Phase::kStop, Place::kInside);
  }

  /// Nothing ends within the quotation, but what ended there may end the sentence around it.
  Place quoted(char32_t c, Stop stop) {
    const bool closes = ::u_charType(static_cast<UChar32>(c)) == U_END_PUNCTUATION;
    constexpr char32_t kTitleEnds = 0x300B;
    if (closes && depth_ == 0 && quoted_stop_ && c != kTitleEnds) {
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
    if (property == U_SB_UPPER && lacks_space()) return begins();
    if (!stop_is_wide_ || property == U_SB_SCONTINUE || japanese_said) return continues();
    return begins();
  }

  /// Whether the space after the stop was left out: five letters that are not Latin are before it, more than
  /// any known abbreviation outside Latin has.
  bool lacks_space() const {
    constexpr std::size_t kLetterBytes = 10;
    const bool small = ::u_islower(static_cast<UChar32>(letter_)) != 0;
    if (!small || !tail_.ends_with('.') || tail_.size() <= kLetterBytes) return false;
    for (std::size_t i = tail_.size() - 1 - kLetterBytes; i + 1 < tail_.size(); ++i) {
      if (static_cast<unsigned char>(tail_[i]) < 0x80) return false;
    }
    return true;
  }

  Place after_space(char32_t c, int property) {
    if (is_space_property(property)) return go(phase_, Place::kGap);
    const bool first = phase_ == Phase::kSpace;
    if (first) skipped_ = 0;
    if (first && !ListMarker::of(bytes_).bullet.empty()) return is_marker() ? continues() : begins();
    const bool dash = c == 0x2013 || c == 0x2014 || c == '-';
    if (property == U_SB_SCONTINUE && !dash) return continues();
    constexpr char32_t kNumero = 0x2116;
    if (c == kNumero && first) return continues();
    if (property == U_SB_NUMERIC && first)
      return stop_is_full_ && stays_before_number() ? continues() : begins();
    if (property == U_SB_LOWER || property == U_SB_UPPER || property == U_SB_OLETTER)
      return first_letter(property);
    if (++skipped_ > kMostSkipped) return begins();
    return go(Phase::kSkipped, Place::kGap);
  }

  Place first_letter(int property) {
    const Abbreviation kind = stop_is_full_ ? words_->at_end(tail_) : Abbreviation::kNone;
    if (kind == Abbreviation::kAlways || is_marker()) return continues();
    if (property == U_SB_OLETTER) return kind == Abbreviation::kMaybe ? continues() : begins();
    const bool after_number = words_->has_ordinals() && ends_with_number();
    if (property == U_SB_UPPER && kind == Abbreviation::kNone && !after_number) return begins();
    word_ = bytes_;
    return go(Phase::kWord, Place::kGap);
  }
  bool ends_with_number() const {
    return tail_.size() > 1 && tail_.back() == '.' && is_digit(tail_[tail_.size() - 2]);
  }

  /// The word is complete, or tells enough: "iPhone" begins a sentence, "the" does not.
  Place in_word(int property) {
    const bool letter = property == U_SB_LOWER || property == U_SB_UPPER || property == U_SB_OLETTER;
    const bool began_lower = !word_.empty() && ::u_islower(first_of(word_)) != 0;
    if (began_lower)
      return property == U_SB_UPPER && words_->at_end(tail_) == Abbreviation::kNone ? begins() : continues();
    if (letter && word_.size() < kTail) {
      word_ += bytes_;
      return Place::kGap;
    }
    if (words_->at_end(tail_) == Abbreviation::kNone)
      return words_->is_ordinal_before(tail_, word_) ? continues() : begins();
    return words_->often_begins_sentence(word_) ? begins() : continues();
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
    return words_->at_end(tail_) != Abbreviation::kNone || words_->precedes_number(tail_) || is_marker();
  }

  /// Keeps the last bytes of the sentence, white space as one space.
  void extend(std::string_view bytes) {
    const std::size_t before = tail_.size();
    for (const char c : bytes) {
      if (!is_space(c)) {
        tail_.push_back(c);
      } else if (!tail_.empty() && tail_.back() != ' ') {
        tail_.push_back(' ');
      }
    }
    length_ += tail_.size() - before;
    if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  }
  void remember(char32_t code) {
    if (sentence_break(code) == U_SB_FORMAT) return;
    extend(bytes_);
    if (::u_isalpha(static_cast<UChar32>(code)) != 0) letter_ = static_cast<std::uint32_t>(code);
    if (is_thai_or_lao(code) && clause_.size() < kKeptClause) clause_ += bytes_;
  }

  Phase phase_ = Phase::kText;
  std::uint8_t phase_byte_ = 0;      ///< The same, for the saved state.
  std::string tail_, bytes_, word_;  ///< bytes_: of an incomplete character.
  std::string next_item_;            ///< How the next item of the list begins; empty: there is no list.
  std::string clause_;               ///< Thai and Lao of the sentence so far.
  std::uint32_t skipped_ = 0, depth_ = 0, inside_ = 0, guillemet_ = 0;
  std::uint32_t letter_ = 0;  ///< The last one.
  std::uint64_t length_ = 0;  ///< Of the sentence so far, as tail_ would hold it.
  bool stop_is_full_ = false, stop_is_wide_ = false, quoted_stop_ = false, after_space_ = false;
  const Abbreviations* words_ = nullptr;  ///< During take().
};

}  // namespace unroll::builtin
