// Which of the candidates make the summary: central to the document and unlike each other (maximal marginal
// relevance, Carbonell and Goldstein 1998), within a budget of words.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugins/builtin/sentence_text.h"

namespace unroll::builtin {

struct Candidate {
  double rank = 0;  ///< Its worth as it went by.
  std::uint64_t start = 0, end = 0;
  std::string text;         ///< Whitespace normalised.
  std::vector<float> mean;  ///< [dim] of its tokens' hidden states.

  void visit(auto& archive) { archive(rank, start, end, text, mean); }
};

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
  /// With the mean; 0 where either has no length.
  double cosine(std::span<const float> row) const {
    double product = 0, own = 0, other = 0;
    for (std::size_t d = 0; d < std::min(row.size(), sum.size()); ++d) {
      product += row[d] * sum[d];
      own += static_cast<double>(row[d]) * row[d];
      other += sum[d] * sum[d];
    }
    return own > 0 && other > 0 ? product / std::sqrt(own * other) : 0.0;
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

/// Worth and centrality (the mean likeness to all others) on one scale.
inline std::vector<double> relevance(const std::vector<Candidate>& candidates,
                                     const std::vector<std::vector<double>>& directions) {
  std::vector<double> worth, central;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    worth.push_back(candidates[i].rank);
    double sum = 0;
    for (std::size_t k = 0; k < candidates.size(); ++k) {
      if (k != i) sum += std::max(0.0, dot(directions[i], directions[k]));
    }
    central.push_back(sum);
  }
  standardise(worth);
  standardise(central);
  for (std::size_t i = 0; i < worth.size(); ++i) worth[i] += central[i];
  return worth;
}

}  // namespace choice

/// Indices into `candidates` (which are in document order), ascending. `sentences`: the spread of all their
/// means.
inline std::vector<std::size_t> choose_sentences(const std::vector<Candidate>& candidates,
                                                 const Spread& sentences, std::size_t budget) {
  constexpr double kMostOverlap = 0.6;  // of words with one that is chosen
  constexpr double kRedundancy = 2.0;   // what full likeness to a chosen one costs, in standard deviations
  std::vector<std::vector<double>> directions;
  std::vector<std::vector<std::uint32_t>> words;
  for (const auto& candidate : candidates) {
    directions.push_back(sentences.standardised(candidate.mean));
    words.push_back(content_words(candidate.text));
  }
  const auto relevance = choice::relevance(candidates, directions);

  std::vector<double> likeness(candidates.size(), 0.0);  // the highest to any chosen one
  std::vector<bool> out(candidates.size(), false);       // chosen, or too like one that is
  std::vector<std::size_t> chosen;
  while (true) {
    std::optional<std::size_t> best;
    const auto value = [&](std::size_t i) { return relevance[i] - kRedundancy * likeness[i]; };
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (out[i] || word_count(candidates[i].text) > budget) continue;
      if (!best || value(i) > value(*best)) best = i;
    }
    if (!best) break;
    chosen.push_back(*best);
    out[*best] = true;
    budget -= word_count(candidates[*best].text);
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
