#include "client/logs/line_words.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "plugins/builtin/records/characters.h"

namespace unroll {
namespace {

constexpr std::string_view kNumber = "#";
constexpr std::size_t kShortestIdentifier = 6;  // of hexadecimal digits, some of them decimal
constexpr std::size_t kShortestOfLetters = 8;   // of letters from a to f: longer than words of them
constexpr float kPairShare = 0.5F, kNumberShare = 0.2F, kNumberedShare = 0.3F;
constexpr std::array<std::string_view, 19> kDates = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                                     "aug", "sep", "oct", "nov", "dec", "mon", "tue",
                                                     "wed", "thu", "fri", "sat", "sun"};

bool is_hex(char c) {
  return ascii::is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// 64-bit FNV-1a.
void mix(std::uint64_t& hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  hash = (hash ^ 0xFF) * 0x100000001B3ull;  // the word's end
}
constexpr std::uint64_t kSeed = 0xCBF29CE484222325ull;

/// 0d6fa2b1-...: the length of a UUID at the text's beginning, else 0.
std::size_t uuid_length(std::string_view text) {
  constexpr std::size_t kLength = 36;
  if (text.size() < kLength || (text.size() > kLength && records::is_alnum(text[kLength]))) return 0;
  for (std::size_t i = 0; i < kLength; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return 0;
  }
  return kLength;
}

/// A word that has digits: a name with a number at its end keeps its letters, anything else is a number or an
/// identifier.
std::string masked(std::string_view word) {
  const auto digits = word.starts_with("0x") ? word.substr(2) : word;
  const bool hexadecimal = std::all_of(digits.begin(), digits.end(), is_hex);
  if (hexadecimal && word.size() >= kShortestIdentifier) return std::string(kNumber);
  const auto letters =
      static_cast<std::size_t>(std::find_if(word.begin(), word.end(), records::is_digit) - word.begin());
  const bool name =
      std::all_of(word.begin() + static_cast<std::ptrdiff_t>(letters), word.end(), records::is_digit);
  return name ? std::string(word.substr(0, letters)) + std::string(kNumber) : std::string(kNumber);
}

/// A name with a number ("eth#") says less than a word.
float share_of(std::string_view word) {
  return word == kNumber ? kNumberShare : word.ends_with(kNumber) ? kNumberedShare : 1;
}

}  // namespace

std::vector<std::string> line_words(std::string_view line) {
  std::vector<std::string> words;
  const auto add = [&](std::string word) {
    // Dates, addresses and versions have as many numbers as they like.
    if (word == kNumber && !words.empty() && words.back() == kNumber) return;
    words.push_back(std::move(word));
  };
  for (std::size_t i = 0; i < line.size();) {
    const auto in_word = [](char c) { return records::is_alnum(c) || (c & 0x80) != 0; };
    if (!in_word(line[i])) {
      ++i;
      continue;
    }
    if (const std::size_t length = uuid_length(line.substr(i)); length > 0) {
      add(std::string(kNumber));
      i += length;
      continue;
    }
    std::size_t end = i;
    while (end < line.size() && in_word(line[end])) ++end;
    std::string word = ascii::lower(line.substr(i, end - i));
    i = end;
    const bool letters = word.size() >= kShortestOfLetters && std::all_of(word.begin(), word.end(), is_hex);
    if (letters || std::any_of(word.begin(), word.end(), records::is_digit)) word = masked(word);
    if (std::find(kDates.begin(), kDates.end(), word) == kDates.end()) add(std::move(word));
  }
  return words;
}

std::uint64_t line_key(const std::vector<std::string>& words) {
  std::uint64_t hash = kSeed;
  for (const std::string& word : words) mix(hash, word);
  return hash;
}

std::vector<LineFeature> line_features(const std::vector<std::string>& words) {
  std::vector<LineFeature> features;
  std::string_view before = "^";
  for (std::size_t i = 0; i <= words.size(); ++i) {
    const std::string_view word = i < words.size() ? std::string_view(words[i]) : "$";
    std::uint64_t alone = kSeed, pair = kSeed;
    mix(alone, word);
    mix(pair, before);
    mix(pair, word);
    if (i < words.size()) features.push_back({alone, share_of(word)});
    features.push_back({pair, kPairShare * std::min(1.0F, std::max(share_of(before), share_of(word)))});
    before = word;
  }
  const auto by_hash = [](const LineFeature& a, const LineFeature& b) { return a.hash < b.hash; };
  const auto same = [](const LineFeature& a, const LineFeature& b) { return a.hash == b.hash; };
  std::sort(features.begin(), features.end(), by_hash);
  features.erase(std::unique(features.begin(), features.end(), same), features.end());
  return features;
}

}  // namespace unroll
