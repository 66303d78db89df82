// Cuts text into the words that BPE encodes one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace unroll {

/// Pairs of characters that follow each other.
class CharacterPairs {
 public:
  void add(char32_t left, char32_t right) { pairs_.insert(key(left, right)); }
  bool contains(char32_t left, char32_t right) const { return pairs_.contains(key(left, right)); }

 private:
  static std::uint64_t key(char32_t left, char32_t right) { return (std::uint64_t{left} << 32U) | right; }
  std::unordered_set<std::uint64_t> pairs_;
};

/// A cut. Cuts are applied in order, each to the pieces of the one before, as in the `tokenizers` package.
struct Cut {
  enum Kind {
    kPattern,   ///< Matches of a regular expression, and the text between them.
    kDigit,     ///< Each character of Unicode's categories N*.
    kDigits,    ///< Runs of these characters.
    kUnjoined,  ///< Between two characters that are not one of the pairs `joined`.
  };
  Kind kind;
  std::string pattern = {};  ///< In UTF-8.
  bool literal = false;      ///< The pattern is plain text.
  std::shared_ptr<const CharacterPairs> joined = {};
};

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The compiled patterns. Immutable.
class PreTokenizer {
 public:
  /// Throws std::runtime_error that names the pattern and the problem. Patterns with look-behind are
  /// refused, because their matches cannot be found again from the middle of a document; so are patterns that
  /// can match nothing.
  explicit PreTokenizer(std::vector<Cut> cuts);
  ~PreTokenizer();

  class Words;
  Words words() const;

 private:
  struct Compiled;
  std::vector<Cut> cuts_;
  std::vector<std::unique_ptr<Compiled>> compiled_;  // by cut; null for digits
};

/// Finds words in a text. One thread; the PreTokenizer must outlive it.
class PreTokenizer::Words {
 public:
  Words(Words&&) noexcept;
  ~Words();
  /// Sets another text, which must outlive its use.
  void set_text(std::u16string_view units);
  /// Continues from `unit`, which must be 0 or an end at which can_restart() was true.
  void restart(std::size_t unit);
  /// Returns the end of the next word in a text that ends at `limit`. `ended`: that is the true end;
  /// otherwise no word is returned that could depend on later text. If a pattern takes too long, the text is
  /// one word.
  std::optional<std::size_t> next(std::size_t limit, bool ended);
  /// Whether the same words are found from the end of the last word on, whatever precedes it.
  bool can_restart() const;

 private:
  friend class PreTokenizer;
  struct Stage;
  explicit Words(const PreTokenizer& patterns);

  std::vector<std::unique_ptr<Stage>> stages_;
  std::size_t at_ = 0;  // end of the last word
};

}  // namespace unroll
