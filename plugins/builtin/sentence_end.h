// Finds sentence boundaries, one byte at a time: at .!? and whitespace before a beginning.
#pragma once

#include <cstddef>
#include <string>

#include "plugins/builtin/sentence_text.h"

namespace unroll::builtin {

/// Decides for each byte which sentence it belongs to. Whitespace after a stop belongs to a gap, whose side
/// is decided by the byte after it.
class SentenceEnd {
 public:
  enum class Place { kInside, kGap, kBegins };

  /// Whether the next byte would belong to a gap if it were whitespace.
  bool stopped() const { return stopped_; }

  Place take(char c) {
    if (is_space(c)) {
      in_gap_ = stopped_;
      return in_gap_ ? Place::kGap : Place::kInside;
    }
    const bool begins = in_gap_ && begins_sentence(c);
    if (begins) tail_.clear();
    note_stop(c);
    if (tail_.size() == kTail) tail_.erase(0, 1);
    tail_.push_back(c);
    return begins ? Place::kBegins : Place::kInside;
  }
  /// The sentence ends here, whatever follows.
  void reset() { *this = {}; }
  void visit(auto& archive) { archive(stopped_, in_gap_, tail_); }

 private:
  static constexpr std::size_t kTail = 12;  ///< The longest abbreviation and the characters around it.

  /// A stop counts until something other than a closing quote or bracket follows.
  void note_stop(char c) {
    const bool closes = c == '"' || c == '\'' || c == ')' || c == ']' || is_beyond_ascii(c);
    stopped_ = c == '.' || c == '!' || c == '?' || (stopped_ && !in_gap_ && closes);
    in_gap_ = false;
  }
  bool begins_sentence(char c) const {
    const bool can = is_upper(c) || is_digit(c) || is_beyond_ascii(c) || c == '"' || c == '\'' || c == '(';
    return can && !ends_in_abbreviation(tail_);
  }

  bool stopped_ = false, in_gap_ = false;
  std::string tail_;  ///< The last bytes that are not whitespace.
};

}  // namespace unroll::builtin
