// The words of a text as a vector: each word's hash selects one of a few hundred dimensions and a sign
// (feature hashing, Weinberger et al. 2009), so that texts with the same words have similar vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "plugins/builtin/characters.h"

namespace unroll::builtin {

/// Splits a stream of bytes into words of 4 letters or more, case-insensitive, and hashes them.
class WordStream {
 public:
  void take(std::string_view bytes) {
    for (const char c : bytes) {
      if (!is_letter(c) && !is_digit(c) && !is_beyond_ascii(c)) {
        end_word();
        continue;
      }
      const char lower = ascii::lower(c);
      hash_ = (hash_ ^ static_cast<unsigned char>(lower)) * kPrime;
      ++letters_;
    }
  }
  /// The hashes of the words since the last call; an incomplete word is cut.
  std::vector<std::uint32_t> end() {
    end_word();
    std::vector<std::uint32_t> words;
    words.swap(words_);
    return words;
  }
  void visit(auto& archive) { archive(hash_, letters_, words_); }

 private:
  static constexpr std::uint32_t kBasis = 2166136261u, kPrime = 16777619u;  // FNV-1a
  static constexpr std::uint64_t kLeastLetters = 4;

  void end_word() {
    if (letters_ >= kLeastLetters) words_.push_back(hash_);
    hash_ = kBasis;
    letters_ = 0;
  }

  std::uint32_t hash_ = kBasis;
  std::uint64_t letters_ = 0;
  std::vector<std::uint32_t> words_;
};

/// A word that occurs n times has weight 1 + ln n. Not of unit length.
inline std::vector<double> word_vector(std::vector<std::uint32_t> words, std::size_t dim) {
  std::vector<double> vector(dim, 0.0);
  std::sort(words.begin(), words.end());
  for (auto it = words.begin(); it != words.end();) {
    const auto next = std::upper_bound(it, words.end(), *it);
    std::uint32_t hash = *it;  // the last bits of FNV-1a are not yet mixed well
    hash = (hash ^ (hash >> 16)) * 0x7feb352du;
    hash = (hash ^ (hash >> 15)) * 0x846ca68bu;
    hash ^= hash >> 16;
    const double weight = 1 + std::log(static_cast<double>(next - it));
    vector[(hash >> 1) % dim] += (hash & 1) != 0 ? weight : -weight;
    it = next;
  }
  return vector;
}

}  // namespace unroll::builtin
