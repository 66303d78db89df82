// training/recall: how far back a model remembers. A key and its value are given once, filler follows, then
// the key is asked for: accuracy against the distance between the two, and small models trained for it.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "model/config.h"

namespace unroll::recall {

/// Two worlds that share nothing but the letters: words of the filler and keys of one are not in the other.
enum class Split { kTraining, kTest };

constexpr std::int64_t kLetters = 26;
constexpr std::int64_t kVocabulary = kLetters + 4;  ///< The letters, a space, and three marks.
constexpr std::int64_t kKeyLetters = 3;
/// The value is one letter: who guesses is right once in so many times.
constexpr double kChance = 1.0 / kLetters;

struct Document {
  std::vector<std::int64_t> tokens;  ///< Ends behind the question: the next token is the answer.
  std::int64_t answer = 0;
};

/// Makes documents: filler up to a random place, `[given] k k k [is] v`, filler, `[asked] k k k [is]`.
class Source {
 public:
  Source(Split split, std::uint64_t seed);
  /// distance: tokens from the value to the question's end. before: the filler's length in front of the key.
  /// pairs: keys with values that are given one after the other; any one of them is asked for.
  Document make(std::int64_t before, std::int64_t distance, int pairs);
  /// `count` tokens of filler.
  void add_filler(std::vector<std::int64_t>& tokens, std::int64_t count);

 private:
  std::vector<std::int64_t> key();
  std::int64_t below(std::int64_t end);

  Split split_;
  std::mt19937_64 random_;
  std::vector<std::vector<std::int64_t>> words_;
};

/// Text of tokens, for people: letters as they are, marks as < ? =.
std::string text(const std::vector<std::int64_t>& tokens);

}  // namespace unroll::recall
