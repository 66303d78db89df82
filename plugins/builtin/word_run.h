// Text between white space, with what is known of its tokens, and the words that it becomes: one, or several
// if a part of it is in a script without spaces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/builtin/json_text.h"
#include "plugins/builtin/unspaced_words.h"

namespace unroll::builtin {

struct Word {
  std::uint64_t start = 0, end = 0, start_char = 0, end_char = 0;  ///< In the document.
  std::uint64_t tokens = 0;                                        ///< That begin in it, white space aside.
  double nats = 0;
  double entropy = 0;  ///< This and the rank: of the token that holds its first byte.
  std::int32_t rank = 0;
  std::string_view text = {};
};

class WordRun {
 public:
  static constexpr std::size_t kMostBytes = 1024;  ///< A longer run is divided before its end is known.

  bool open() const { return !pieces_.empty(); }

  /// The next byte is a token's first one that is not white space in this run. `tokens`: 0 if the token
  /// counts for an earlier word. `byte`, `character`: the place in the document.
  void add_token(std::uint64_t tokens, double nats, double entropy, std::int32_t rank, std::uint64_t byte,
                 std::uint64_t character) {
    if (!open()) {
      start_ = byte;
      start_char_ = character;
    }
    pieces_.push_back({text_.size(), tokens, nats, entropy, rank});
  }

  /// Calls take(Word) for the words that are complete because the run is long.
  template <class Take>
  void add_byte(char c, UnspacedWords& breaks, Take take) {
    constexpr std::size_t kContext = 64, kLongestCharacter = 4;
    if (text_.size() >= kMostBytes + (continues_utf8(c) ? kLongestCharacter : 0)) {
      const auto ends = breaks.ends(text_);
      std::size_t complete = 1;
      while (complete < ends.size() && ends[complete] + kContext <= text_.size()) ++complete;
      take_words(std::span(ends).first(complete), 0, take);
    }
    text_.push_back(c);
  }

  /// `end_nats`: for the end of the last word.
  template <class Take>
  void close(double end_nats, UnspacedWords& breaks, Take take) {
    take_words(breaks.ends(text_), end_nats, take);
    *this = {};
  }

  void visit(auto& archive) { archive(start_, start_char_, text_, pieces_); }

 private:
  /// A token from its first byte in the run on.
  struct Piece {
    std::uint64_t at = 0, tokens = 0;
    double nats = 0, entropy = 0;
    std::int32_t rank = 0;

    void visit(auto& archive) { archive(at, tokens, nats, entropy, rank); }
  };

  /// Removes words that end at `ends`; `end_nats` is the last one's.
  template <class Take>
  void take_words(std::span<const std::size_t> ends, double end_nats, Take take) {
    std::size_t next = 0, begin = 0;  // the first piece and byte that are not taken
    Piece first;                      // that holds the byte at `begin`
    const auto look = [&] {
      if (next < pieces_.size() && pieces_[next].at == begin) first = pieces_[next];
    };
    for (const std::size_t end : ends) {
      look();
      Word word{start_, start_ + end - begin, start_char_, start_char_};
      word.text = std::string_view(text_).substr(begin, end - begin);
      for (const char c : word.text) word.end_char += continues_utf8(c) ? 0 : 1;
      word.entropy = first.entropy;
      word.rank = first.rank;
      for (; next < pieces_.size() && pieces_[next].at < end; ++next) {
        first = pieces_[next];
        word.tokens += first.tokens;
        word.nats += first.nats;
      }
      if (end == ends.back()) word.nats += end_nats;
      begin = end;
      start_ = word.end;
      start_char_ = word.end_char;
      take(word);
    }
    look();
    std::vector<Piece> rest;
    if (first.at < begin) rest.push_back({0, 0, 0, first.entropy, first.rank});
    for (; next < pieces_.size(); ++next) {
      rest.push_back(pieces_[next]);
      rest.back().at -= begin;
    }
    pieces_ = std::move(rest);
    text_.erase(0, begin);
  }

  std::uint64_t start_ = 0, start_char_ = 0;
  std::string text_;
  std::vector<Piece> pieces_;  ///< Ascending; empty: no run is open.
};

}  // namespace unroll::builtin
