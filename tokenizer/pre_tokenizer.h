// What cuts text into the words that byte-level BPE encodes one by one.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// One cut after another, each of the pieces that the one before left, as the `tokenizers` package does.
struct Cut {
  enum Kind {
    kPattern,  ///< Matches of a regular expression, and what is between them.
    kDigit,    ///< Each character of Unicode's categories N*.
    kDigits,   ///< Runs of them.
  };
  Kind kind;
  std::string pattern = {};  ///< In UTF-8.
  bool literal = false;      ///< The pattern is plain text.
};

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The patterns, compiled. Immutable.
class PreTokenizer {
 public:
  /// Throws std::runtime_error that says which pattern is wrong and why: a pattern that looks behind a match
  /// cannot be found again from the middle of a document, and one that can match nothing cuts nothing.
  explicit PreTokenizer(std::vector<Cut> cuts);
  ~PreTokenizer();

  class Words;
  Words words() const;

 private:
  struct Compiled;
  std::vector<Cut> cuts_;
  std::vector<std::unique_ptr<Compiled>> compiled_;  // by cut; null if it is no pattern
};

/// Finds words in a text. One thread; the PreTokenizer must outlive it.
class PreTokenizer::Words {
 public:
  Words(Words&&) noexcept;
  ~Words();
  /// Another text, which must outlive its use.
  void set_text(std::u16string_view units);
  /// Words are looked for from `unit` on, which must be 0 or an end at which can_restart() was true.
  void restart(std::size_t unit);
  /// The end of the next word, in a text that ends at `limit`. With `ended` that is its true end; without,
  /// none is given that could depend on what follows. Text in which a pattern
  /// takes too long is one word.
  std::optional<std::size_t> next(std::size_t limit, bool ended);
  /// From the end of the last word on the same words are found, whatever is before.
  bool can_restart() const;

 private:
  friend class PreTokenizer;
  struct Stage;
  explicit Words(const PreTokenizer& patterns);

  std::vector<std::unique_ptr<Stage>> stages_;
  std::size_t at_ = 0;  // the end of the last word
};

}  // namespace unroll
