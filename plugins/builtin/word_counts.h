// Approximate number of sentences that contain each word, for endless documents, in constant memory.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace unroll::builtin {

class WordCounts {
 public:
  /// Added to each sentence's number of words, as words that occur nowhere else, against short sentences.
  static constexpr double kMore = 3;

  /// `words`: the hashes of a sentence's words, without duplicates.
  void add(const std::vector<std::uint32_t>& words) {
    for (const auto word : words) {
      if (++counts_[word % kSlots] == std::numeric_limits<std::uint16_t>::max()) halve();
    }
  }
  double count(std::uint32_t word) const { return counts_[word % kSlots]; }
  /// How well a sentence of these words represents the document: the mean logarithm of their
  /// counts.
  double commonness(const std::vector<std::uint32_t>& words) const {
    double sum = 0;
    for (const auto word : words) sum += std::log1p(counts_[word % kSlots]);
    return sum / (static_cast<double>(words.size()) + kMore);
  }
  void visit(auto& archive) {
    for (auto& count : counts_) archive(count);
  }

 private:
  static constexpr std::size_t kSlots = 4093;  // collisions are rare enough
  void halve() {
    for (auto& count : counts_) count = static_cast<std::uint16_t>(count / 2);
  }
  std::array<std::uint16_t, kSlots> counts_{};
};

}  // namespace unroll::builtin
