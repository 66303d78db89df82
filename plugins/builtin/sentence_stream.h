// Cuts a stream of tokens into sentences: where SentenceEnd finds one to end, at blank lines, at list items
// and headings. A token belongs to the sentence that contains its first byte; whitespace between sentences
// belongs to the following one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/builtin/quotation.h"
#include "plugins/builtin/sentence_end.h"
#include "plugins/builtin/sentence_text.h"

namespace unroll::builtin {

/// Sums over tokens.
struct TokenSums {
  std::uint64_t tokens = 0;
  double nats = 0;

  void add(const TokenSums& other) {
    tokens += other.tokens;
    nats += other.nats;
  }
  void visit(auto& archive) { archive(tokens, nats); }
};

struct Sentence {
  std::uint64_t start = 0, end = 0;  // bytes of the document, without the whitespace around it
  bool opens_paragraph = false;
  double quoted = 0;          // the share of its text that stands in quotation marks
  bool in_quotation = false;  // it begins or ends within a quotation, of which it has a part only
  std::string text;           // raw; empty if the sentence was too long
  TokenSums sums;
};

class SentenceStream {
 public:
  static constexpr std::size_t kMaxBytes = 2048;  ///< Longer sentences are ignored.

  /// Takes the next token; calls take(Sentence) for each sentence that it ends. `words`: of the document's
  /// language.
  template <class Take>
  void token(std::string_view bytes, std::uint64_t offset, double nats, const Abbreviations& words,
             Take take) {
    (!gap_text_.empty() || end_.stopped() ? gap_ : sums_).add({1, nats});
    for (const char c : bytes) byte(c, offset++, words, take);
  }
  template <class Take>
  void finish(Take take) {
    keep_gap();
    close(take);
  }
  void visit(auto& archive) {
    archive(text_, text_begin_, bytes_, end_, gap_text_, gap_begin_, blank_line_, paragraph_, heading_,
            line_start_, quotation_, sums_, gap_);
  }

 private:
  static constexpr std::size_t kMaxMarker = 4;                           // "*", "12."
  static constexpr std::string_view kIdeographicSpace = "\xE3\x80\x80";  // U+3000

  template <class Take>
  void byte(char c, std::uint64_t offset, const Abbreviations& words, Take& take) {
    if (c == '\n') {
      if (blank_line_ || heading_) {
        cut(take);
        paragraph_ = true;
      }
      heading_ = false;
      blank_line_ = true;
    } else if (is_space(c)) {
      const std::size_t line = gap_text_.rfind('\n');
      if (line != std::string::npos && is_marker(std::string_view(gap_text_).substr(line + 1))) keep_gap();
      if (gap_text_.empty() && after_marker()) begin_item(take);
    } else {
      if (blank_line_ && c == '#') {
        cut(take);
        heading_ = true;
      }
      blank_line_ = false;
    }
    switch (end_.take(c, words)) {
      case SentenceEnd::Place::kGap:
        if (gap_text_.empty()) gap_begin_ = offset;
        gap_text_.push_back(c);
        if (gap_text_.size() > kMaxBytes) {
          keep_gap();
          end_.reset();
        }
        return;
      case SentenceEnd::Place::kBegins:
        close_before_gap(take);
        break;
      case SentenceEnd::Place::kInside:
        break;
    }
    keep_gap();
    keep(c, offset);
    if (c == '\n') line_start_ = text_.size();
  }

  /// The sentence ends here, whatever follows.
  template <class Take>
  void cut(Take& take) {
    keep_gap();
    close(take);
    end_.reset();
  }

  /// The gap belongs to the sentence so far.
  void keep_gap() {
    const std::string gap = std::exchange(gap_text_, {});
    for (std::size_t i = 0; i < gap.size(); ++i) {
      keep(gap[i], gap_begin_ + i);
      if (gap[i] == '\n') line_start_ = text_.size();
    }
    if (gap_.tokens > 0) sums_.add(std::exchange(gap_, {}));
  }

  /// A sentence ends before the gap, which belongs to the next one.
  template <class Take>
  void close_before_gap(Take& take) {
    std::string gap = std::exchange(gap_text_, {});
    TokenSums sums = std::exchange(gap_, {});
    close(take);
    gap_text_ = std::move(gap);
    gap_ = std::move(sums);
  }

  /// Whether the line so far is the mark of a list item.
  bool after_marker() const {
    if (line_start_ >= text_.size() || bytes_ > kMaxBytes) return false;
    return is_marker(std::string_view(text_).substr(line_start_));
  }
  /// "-", "*", "+", "2.", "10)".
  static bool is_marker(std::string_view line) {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    if (line.empty() || line.size() > kMaxMarker) return false;
    if (line == "-" || line == "*" || line == "+" || line == "\xE2\x80\xA2") return true;
    const auto number = line.substr(0, line.size() - 1);
    return !number.empty() && (line.back() == '.' || line.back() == ')') &&
           number.find_first_not_of("0123456789") == std::string_view::npos;
  }

  /// The text before the mark is a sentence of its own; the mark belongs to no sentence.
  template <class Take>
  void begin_item(Take& take) {
    text_.resize(line_start_);
    close(take);
    end_.reset();
    paragraph_ = true;
  }

  void keep(char c, std::uint64_t offset) {
    if (bytes_ == 0 && is_space(c)) return;
    if (bytes_++ == 0) text_begin_ = offset;
    if (bytes_ <= kMaxBytes) {
      text_.push_back(c);
    } else {
      text_.clear();
    }
  }

  template <class Take>
  void close(Take& take) {
    Sentence sentence;
    sentence.text = std::exchange(text_, {});
    while (!sentence.text.empty() && is_space(sentence.text.back())) sentence.text.pop_back();
    sentence.start = text_begin_;
    // It begins each paragraph of Japanese and Chinese books.
    for (; sentence.text.starts_with(kIdeographicSpace); sentence.start += kIdeographicSpace.size())
      sentence.text.erase(0, kIdeographicSpace.size());
    sentence.end = sentence.start + sentence.text.size();
    sentence.opens_paragraph = paragraph_;
    sentence.sums = std::exchange(sums_, {});
    read_quotations(sentence);
    const bool usable = !sentence.text.empty() && !heading_;
    if (bytes_ > 0) paragraph_ = false;
    bytes_ = 0;
    line_start_ = kNoLine;
    if (usable) take(std::move(sentence));
  }

  /// Across the sentences of a paragraph: one that is not closed there opens the next paragraph again.
  void read_quotations(Sentence& sentence) {
    if (paragraph_) quotation_ = {};
    sentence.in_quotation = quotation_.inside();
    const auto quoted = quotation_.read(sentence.text);
    sentence.in_quotation = sentence.in_quotation || quotation_.inside();
    if (quoted > 0) sentence.quoted = static_cast<double>(quoted) / static_cast<double>(sentence.text.size());
  }

  static constexpr std::uint64_t kNoLine = ~0ull;

  std::string text_;  // of the sentence so far, from its first byte that is not whitespace
  std::uint64_t text_begin_ = 0;
  std::uint64_t bytes_ = 0;  // its length; above kMaxBytes, text_ is no longer kept
  SentenceEnd end_;
  std::string gap_text_;  // after a stop, while its side is undecided; begins at gap_begin_
  std::uint64_t gap_begin_ = 0;
  bool blank_line_ = true;        // nothing but whitespace in this line so far
  bool paragraph_ = true;         // the next sentence is a paragraph's first
  bool heading_ = false;          // in a line that began with #
  std::uint64_t line_start_ = 0;  // offset of this line in text_; kNoLine: before it
  Quotation quotation_;           // of the paragraph so far
  TokenSums sums_, gap_;          // gap_: of tokens that begin in the gap
};

}  // namespace unroll::builtin
