// Which of the candidates make the summary: about what the document is about and unlike each other (maximal
// marginal relevance, Carbonell and Goldstein 1998), within a budget of words.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/word_counts.h"

namespace unroll::builtin {

struct Candidate {
  double rank = 0;  ///< Its worth as it went by.
  double own = 0;   ///< The part of it that does not change with what comes behind.
  std::uint64_t start = 0, end = 0;
  std::string text;                 ///< The document's own bytes.
  std::vector<std::uint16_t> mean;  ///< [dim] of its tokens' hidden states, in half_precision().

  void visit(auto& archive) { archive(rank, own, start, end, text, mean); }
};

/// As bfloat16: candidates are most of the state, which is saved after every block.
inline std::vector<std::uint16_t> half_precision(std::span<const float> row) {
  std::vector<std::uint16_t> out;
  for (const float x : row) out.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16));
  return out;
}
inline std::vector<float> full_precision(std::span<const std::uint16_t> row) {
  std::vector<float> out;
  for (const auto x : row) out.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16));
  return out;
}

/// Mean and spread of vectors, by dimension.
struct Spread {
  std::uint64_t count = 0;
  std::vector<double> sum, squares;  // [dim]

  void add(std::span<const float> row) {
    if (sum.empty()) {
      sum.assign(row.size(), 0.0);
      squares.assign(row.size(), 0.0);
    }
    ++count;
    for (std::size_t d = 0; d < std::min(row.size(), sum.size()); ++d) {
      sum[d] += row[d];
      squares[d] += static_cast<double>(row[d]) * row[d];
    }
  }
  /// What sets this one apart: without the common mean, every dimension at the same scale, of unit length.
  std::vector<double> standardised(std::span<const float> row) const {
    std::vector<double> out(row.size(), 0.0);
    double length = 0;
    for (std::size_t d = 0; d < std::min(row.size(), sum.size()); ++d) {
      const double n = static_cast<double>(count), mean = sum[d] / n;
      const double variance = std::max(squares[d] / n - mean * mean, 1e-12);
      out[d] = (row[d] - mean) / std::sqrt(variance);
      length += out[d] * out[d];
    }
    for (double& x : out) x = length > 0 ? x / std::sqrt(length) : 0.0;
    return out;
  }
  void visit(auto& archive) { archive(count, sum, squares); }
};

namespace choice {

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t d = 0; d < std::min(a.size(), b.size()); ++d) sum += a[d] * b[d];
  return sum;
}

/// To mean 0 and deviation 1.
inline void standardise(std::vector<double>& values) {
  if (values.empty()) return;
  const double n = static_cast<double>(values.size());
  double mean = 0, variance = 0;
  for (const double x : values) mean += x / n;
  for (const double x : values) variance += (x - mean) * (x - mean) / n;
  for (double& x : values) x = variance > 1e-18 ? (x - mean) / std::sqrt(variance) : 0.0;
}

}  // namespace choice

/// Indices into `candidates` (which are in document order), ascending. `sentences`: the spread of all their
/// means.
inline std::vector<std::size_t> choose_sentences(const std::vector<Candidate>& candidates,
                                                 const Spread& sentences, const WordCounts& counts,
                                                 std::size_t budget) {
  constexpr double kMostOverlap = 0.6;  // of words with one that is chosen
  constexpr double kRedundancy = 1.0;   // what full likeness to a chosen one costs, in standard deviations
  std::vector<std::vector<double>> directions;
  std::vector<std::vector<std::uint32_t>> words;
  std::vector<std::size_t> lengths;
  for (const auto& candidate : candidates) {
    directions.push_back(sentences.standardised(full_precision(candidate.mean)));
    words.push_back(content_words(candidate.text));
    lengths.push_back(word_count(normalised(candidate.text)));
  }
  std::vector<double> relevance;
  for (const auto& own : words) relevance.push_back(counts.commonness(own));
  choice::standardise(relevance);
  for (std::size_t i = 0; i < candidates.size(); ++i) relevance[i] += candidates[i].own;

  std::vector<double> likeness(candidates.size(), 0.0);  // the highest to any chosen one
  std::vector<bool> out(candidates.size(), false);       // chosen, or too like one that is
  std::vector<std::size_t> chosen;
  while (true) {
    std::optional<std::size_t> best;
    const auto value = [&](std::size_t i) { return relevance[i] - kRedundancy * likeness[i]; };
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (out[i] || lengths[i] > budget) continue;
      if (!best || value(i) > value(*best)) best = i;
    }
    if (!best) break;
    chosen.push_back(*best);
    out[*best] = true;
    budget -= lengths[*best];
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const double overlap = word_overlap(words[i], words[*best]);
      likeness[i] = std::max({likeness[i], overlap, choice::dot(directions[i], directions[*best])});
      if (overlap > kMostOverlap) out[i] = true;
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace unroll::builtin
