// Chooses the summary's sentences within a budget of words: those with the document's most frequent words (a
// word counts half for each time it is in the summary already; after SumBasic, Nenkova and Vanderwende 2005),
// and unlike each other (maximal marginal relevance, Carbonell and Goldstein 1998).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugins/builtin/sentence_text.h"
#include "plugins/builtin/word_counts.h"

namespace unroll::builtin {

struct Candidate {
  double rank = 0;  ///< Its score when it was read.
  double own = 0;   ///< The part of the score that does not depend on later text.
  std::uint64_t start = 0, end = 0;
  std::string text;                 ///< The document's own bytes.
  std::vector<std::uint16_t> mean;  ///< [dim] of its tokens' hidden states, in half_precision().
  bool in_quotation = false;        ///< It is a part of a speech only.

  void visit(auto& archive) { archive(rank, own, start, end, text, mean, in_quotation); }
};

/// Converts to bfloat16: candidates are most of the state, which is saved after every block.
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

/// Mean and standard deviation of vectors, per dimension.
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
  /// The vector minus the mean, with every dimension at the same scale, of unit length.
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

struct Scale {
  double mean = 0, deviation = 0;
  double operator()(double x) const { return deviation > 1e-9 ? (x - mean) / deviation : 0.0; }
};
inline Scale scale_of(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  double mean = 0, variance = 0;
  for (const double x : values) mean += x / n;
  for (const double x : values) variance += (x - mean) * (x - mean) / n;
  return {mean, std::sqrt(variance)};
}

/// How much of the document's topic a sentence of these words would add to the chosen ones.
class Coverage {
 public:
  explicit Coverage(const WordCounts& counts) : counts_(counts) {}
  double of(const std::vector<std::uint32_t>& words) const {
    double sum = 0;
    for (const auto word : words) {
      const auto known = worth_.find(word);
      sum += counts_.count(word) * (known == worth_.end() ? 1.0 : known->second);
    }
    return sum / (static_cast<double>(words.size()) + WordCounts::kMore);
  }
  void choose(const std::vector<std::uint32_t>& words) {
    for (const auto word : words) worth_.try_emplace(word, 1.0).first->second /= 2;
  }

 private:
  const WordCounts& counts_;
  std::unordered_map<std::uint32_t, double> worth_;
};

}  // namespace choice

/// Ascending indices into `candidates`, which are in document order. `sentences`: statistics of all prose
/// sentences' means. Parts of speeches are chosen only if all others fill less than half of the budget.
inline std::vector<std::size_t> choose_sentences(const std::vector<Candidate>& candidates,
                                                 const Spread& sentences, const WordCounts& counts,
                                                 std::size_t budget) {
  constexpr double kMostOverlap = 0.6;  // of words with one that is chosen
  constexpr double kRedundancy = 1.0;   // penalty for being equal to a chosen one, in standard deviations
  std::vector<std::vector<double>> directions;
  std::vector<std::vector<std::uint32_t>> words;
  std::vector<std::size_t> lengths;
  for (const auto& candidate : candidates) {
    directions.push_back(sentences.standardised(full_precision(candidate.mean)));
    words.push_back(content_words(candidate.text));
    lengths.push_back(word_count(normalised(candidate.text)));
  }
  choice::Coverage coverage(counts);
  std::vector<double> alone;
  for (const auto& own : words) alone.push_back(coverage.of(own));
  const auto scale = choice::scale_of(alone);

  std::vector<double> likeness(candidates.size(), 0.0);  // of hidden states, the highest to any chosen one
  std::vector<bool> out(candidates.size(), false);       // chosen, or too like one that is
  std::vector<std::size_t> chosen;
  const std::size_t least_left = budget / 2;
  bool whole_only = true;
  while (true) {
    std::optional<std::size_t> best;
    double highest = 0;
    const auto value = [&](std::size_t i) {
      return scale(coverage.of(words[i])) + candidates[i].own - kRedundancy * likeness[i];
    };
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (out[i] || lengths[i] > budget || (whole_only && candidates[i].in_quotation)) continue;
      const double worth = value(i);
      if (best && worth <= highest) continue;
      best = i;
      highest = worth;
    }
    if (!best) {
      if (!whole_only || budget <= least_left) break;
      whole_only = false;
      continue;
    }
    chosen.push_back(*best);
    out[*best] = true;
    coverage.choose(words[*best]);
    budget -= lengths[*best];
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      likeness[i] = std::max(likeness[i], choice::dot(directions[i], directions[*best]));
      if (word_overlap(words[i], words[*best]) > kMostOverlap) out[i] = true;
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace unroll::builtin
