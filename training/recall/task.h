// training/recall: measures how far back a model remembers. A key and its value are given once, filler
// follows, then the key is queried: accuracy by distance, and training of small models for the task.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "model/config.h"

namespace unroll::recall {

/// Two splits with disjoint keys and filler words; only the letters are shared.
enum class Split { kTraining, kTest };

constexpr std::int64_t kLetters = 26;
constexpr std::int64_t kVocabulary = kLetters + 4;  ///< The letters, a space, and three marks.
constexpr std::int64_t kKeyLetters = 3;
/// The value is one letter: a guess is right with probability 1 / kLetters.
constexpr double kChance = 1.0 / kLetters;

struct Document {
  std::vector<std::int64_t> tokens;  ///< Ends with the question: the next token is the answer.
  std::int64_t answer = 0;
};

/// Generates documents: filler of random length, `[given] k k k [is] v`, filler, `[asked] k k k [is]`.
class Source {
 public:
  Source(Split split, std::uint64_t seed);
  /// distance: tokens from the value to the question's end. before: the length of the filler before the key.
  /// pairs: the number of keys with values, given one after the other; one of them is queried.
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

/// Tokens as readable text: letters unchanged, marks as < ? =.
std::string text(const std::vector<std::int64_t>& tokens);

}  // namespace unroll::recall
