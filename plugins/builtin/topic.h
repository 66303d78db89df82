// What a document is about, as far as it was read: the sum of its sentences' words, each sentence a vector of
// unit length whose words weigh more if fewer sentences have them (TF-IDF). A sentence is central if it is
// like that sum, that is, like many other sentences (degree centrality: Erkan & Radev 2004, Zheng & Lapata
// 2019). Constant memory, for endless documents.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace unroll::builtin {

class Topic {
 public:
  /// `words`: the hashes of a sentence's words, without duplicates.
  void add(const std::vector<std::uint32_t>& words) {
    for (const auto word : words) ++counts_[word % kSlots];
    if (++sentences_ == std::numeric_limits<std::uint16_t>::max()) halve();
    const double length = length_of(words);
    if (length == 0) return;
    for (const auto word : words) sum_[word % kSlots] += static_cast<float>(rarity(word) / length);
  }

  /// The mean cosine of a sentence of these words to the sentences so far. Their words weigh what they
  /// weighed when each was added.
  double centrality(const std::vector<std::uint32_t>& words) const {
    const double length = length_of(words);
    if (length == 0) return 0;
    double product = 0;
    for (const auto word : words) product += rarity(word) * static_cast<double>(sum_[word % kSlots]);
    return product / length / static_cast<double>(sentences_);
  }

  void visit(auto& archive) {
    archive(sentences_);
    for (auto& count : counts_) archive(count);
    for (auto& weight : sum_) archive(weight);
  }

 private:
  static constexpr std::size_t kSlots = 4093;  // collisions are rare enough

  /// Above 0 for words that were added.
  double rarity(std::uint32_t word) const {
    const double having = counts_[word % kSlots];
    return having == 0 ? 0 : std::log((static_cast<double>(sentences_) + 1) / having);
  }
  double length_of(const std::vector<std::uint32_t>& words) const {
    double square = 0;
    for (const auto word : words) square += rarity(word) * rarity(word);
    return std::sqrt(square);
  }
  void halve() {
    sentences_ /= 2;
    for (auto& count : counts_) count = static_cast<std::uint16_t>((count + 1) / 2);
    for (auto& weight : sum_) weight /= 2;
  }

  std::uint32_t sentences_ = 0;
  std::array<std::uint16_t, kSlots> counts_{};  ///< Sentences that have a word of this slot.
  std::array<float, kSlots> sum_{};
};

}  // namespace unroll::builtin
