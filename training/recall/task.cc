#include "training/recall/task.h"

#include <algorithm>
#include <stdexcept>

namespace unroll::recall {
namespace {

constexpr std::int64_t kSpace = kLetters, kGiven = kLetters + 1, kAsked = kLetters + 2, kIs = kLetters + 3;
constexpr std::size_t kWords = 2000;
constexpr std::int64_t kShortestWord = 2, kLongestWord = 7;
constexpr std::uint64_t kWordSeed = 20220311;

/// The split that a word or key belongs to; depends only on its letters.
Split split_of(const std::vector<std::int64_t>& letters) {
  std::uint64_t number = letters.size();
  for (const auto letter : letters) number = number * kLetters + static_cast<std::uint64_t>(letter);
  // SplitMix64's finalizer, which separates neighbouring numbers.
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
  number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
  return (number ^ (number >> 31)) % 4 == 0 ? Split::kTest : Split::kTraining;
}

}  // namespace

Source::Source(Split split, std::uint64_t seed) : split_(split), random_(kWordSeed) {
  while (words_.size() < kWords) {
    std::vector<std::int64_t> word(
        static_cast<std::size_t>(kShortestWord + below(kLongestWord - kShortestWord + 1)));
    for (auto& letter : word) letter = below(kLetters);
    if (split_of(word) == split_) words_.push_back(std::move(word));
  }
  random_.seed(seed);
}

std::int64_t Source::below(std::int64_t end) {
  return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(end));
}

std::vector<std::int64_t> Source::key() {
  for (;;) {
    std::vector<std::int64_t> letters(kKeyLetters);
    for (auto& letter : letters) letter = below(kLetters);
    if (split_of(letters) == split_) return letters;
  }
}

void Source::add_filler(std::vector<std::int64_t>& tokens, std::int64_t count) {
  const auto end = tokens.size() + static_cast<std::size_t>(count);
  while (tokens.size() < end) {
    const auto& word = words_[static_cast<std::size_t>(below(std::ssize(words_)))];
    tokens.insert(tokens.end(), word.begin(), word.end());
    tokens.push_back(kSpace);
  }
  tokens.resize(end);
}

Document Source::make(std::int64_t before, std::int64_t distance, int pairs) {
  const auto question = kKeyLetters + 2, pair = kKeyLetters + 3;
  if (pairs < 1 || before < 0 || distance < question + (pairs - 1) * pair)
    throw std::invalid_argument("no room for the pairs between the first value and the question");
  Document document;
  auto& tokens = document.tokens;
  tokens.reserve(static_cast<std::size_t>(before + pair + distance));
  add_filler(tokens, before);
  const auto asked = below(pairs);
  std::vector<std::vector<std::int64_t>> keys;
  for (int i = 0; i < pairs; ++i) {
    auto letters = key();
    while (std::ranges::find(keys, letters) != keys.end()) letters = key();
    const auto value = below(kLetters);
    if (i == asked) document.answer = value;
    tokens.push_back(kGiven);
    tokens.insert(tokens.end(), letters.begin(), letters.end());
    tokens.push_back(kIs);
    tokens.push_back(value);
    keys.push_back(std::move(letters));
  }
  // Counted from the first value, so that all documents of a distance have the same length.
  add_filler(tokens, distance - question - (pairs - 1) * pair);
  tokens.push_back(kAsked);
  const auto& letters = keys[static_cast<std::size_t>(asked)];
  tokens.insert(tokens.end(), letters.begin(), letters.end());
  tokens.push_back(kIs);
  return document;
}

std::string text(const std::vector<std::int64_t>& tokens) {
  std::string result;
  for (const auto token : tokens)
    result += token < kLetters ? static_cast<char>('a' + token) : " <?="[token - kLetters];
  return result;
}

}  // namespace unroll::recall
