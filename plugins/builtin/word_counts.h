// In how many sentences of an endless document each word has been, about, in constant memory.
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
  /// As if each sentence had so many words more that were nowhere else, so that short ones do not win.
  static constexpr double kMore = 3;

  /// `words`: the hashes of a sentence's words, each once.
  void add(const std::vector<std::uint32_t>& words) {
    for (const auto word : words) {
      if (++counts_[word % kSlots] == std::numeric_limits<std::uint16_t>::max()) halve();
    }
  }
  double count(std::uint32_t word) const { return counts_[word % kSlots]; }
  /// How much a sentence of these words is about what the document is about: the mean logarithm of their
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
  static constexpr std::size_t kSlots = 4093;  // words that share one are rare enough
  void halve() {
    for (auto& count : counts_) count = static_cast<std::uint16_t>(count / 2);
  }
  std::array<std::uint16_t, kSlots> counts_{};
};

}  // namespace unroll::builtin
