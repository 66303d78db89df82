// Chooses the summary's sentences within a budget of words: the best ones that are unlike each other.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/topic.h"

namespace unroll::builtin {

struct Candidate {
  double rank = 0;  ///< Its score when it was read.
  double own = 0;   ///< The part of the score that does not depend on other sentences.
  std::uint64_t start = 0, end = 0;
  std::string text;  ///< The document's own bytes.
  /// It is a part of a speech, or refers to the sentence before it.
  bool partial = false;

  void visit(auto& archive) { archive(rank, own, start, end, text, partial); }
};

/// The numbers, with mean 0 and deviation 1.
inline std::vector<double> standardised(std::vector<double> values) {
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double variance = 0;
  for (const double x : values) variance += (x - mean) * (x - mean) / n;
  const double deviation = std::sqrt(variance);
  for (double& x : values) x = deviation > 1e-9 ? (x - mean) / deviation : 0.0;
  return values;
}

/// Ascending indices into `candidates`, which are in document order. Partial ones are chosen only if all
/// others fill less than half of the budget.
inline std::vector<std::size_t> choose_sentences(const std::vector<Candidate>& candidates, const Topic& topic,
                                                 std::size_t budget) {
  constexpr double kMostOverlap = 0.6;  // of words with one that is chosen
  std::vector<std::vector<std::uint32_t>> words;
  std::vector<double> worth;
  for (const auto& candidate : candidates) {
    words.push_back(content_words(candidate.text));
    worth.push_back(topic.centrality(words.back()));
  }
  worth = standardised(std::move(worth));
  for (std::size_t i = 0; i < candidates.size(); ++i) worth[i] += candidates[i].own;
  std::vector<std::size_t> order(candidates.size()), chosen;
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return worth[a] > worth[b]; });

  const std::size_t least_left = budget / 2;
  for (const bool partial : {false, true}) {
    if (partial && budget <= least_left) break;
    for (const std::size_t i : order) {
      if (candidates[i].partial != partial) continue;
      const std::size_t length = word_count(normalised(candidates[i].text));
      if (length > budget || std::ranges::any_of(chosen, [&](std::size_t other) {
            return word_overlap(words[i], words[other]) > kMostOverlap;
          }))
        continue;
      chosen.push_back(i);
      budget -= length;
    }
  }
  std::ranges::sort(chosen);
  return chosen;
}

}  // namespace unroll::builtin
