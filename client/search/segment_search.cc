#include "client/search/segment_search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <unordered_map>

namespace unroll {
namespace {

/// BM25 as Lucene computes it: the logarithm's argument is never below 1.
class WordSearch {
 public:
  explicit WordSearch(const std::vector<EmbedIndex>& indexes) : indexes_(indexes) {
    for (const EmbedIndex& index : indexes) {
      segments_ += static_cast<double>(index.size());
      for (const TermCount& each : index.terms) words_ += each.count;
    }
  }

  /// Calls take(index, segment, score) for each segment that has a word of the query.
  template <class Take>
  void search(const std::string& query, Take take) {
    std::map<std::string, std::vector<TermCount>> queries;  // by language
    for (const EmbedIndex& index : indexes_) {
      for (const EmbeddedDocument& document : index.documents) {
        if (!queries.contains(document.language))
          queries[document.language] = count_terms(search_terms(query, document.language));
      }
    }
    std::unordered_map<std::uint32_t, double> containing;
    for (const auto& [language, terms] : queries)
      for (const TermCount& each : terms) containing.try_emplace(each.term, 0.0);
    for (const EmbedIndex& index : indexes_) {
      for (const TermCount& each : index.terms) {
        if (const auto found = containing.find(each.term); found != containing.end()) ++found->second;
      }
    }
    for (std::size_t i = 0; i < indexes_.size(); ++i) {
      const EmbedIndex& index = indexes_[i];
      std::size_t segment = 0;
      for (const EmbeddedDocument& document : index.documents) {
        for (const std::size_t end = segment + document.segments; segment < end; ++segment) {
          const double score = score_of(index, segment, queries[document.language], containing);
          if (score > 0) take(i, segment, score);
        }
      }
    }
  }

 private:
  static constexpr double kSaturation = 1.2, kLength = 0.75;

  double score_of(const EmbedIndex& index, std::size_t segment, const std::vector<TermCount>& query,
                  const std::unordered_map<std::uint32_t, double>& containing) const {
    const auto terms = index.terms_of(segment);
    double length = 0;
    for (const TermCount& each : terms) length += each.count;
    const double norm = kSaturation * (1 - kLength + kLength * length * segments_ / std::max(words_, 1.0));
    double score = 0;
    for (const TermCount& wanted : query) {
      const auto found = std::ranges::lower_bound(terms, wanted.term, {}, &TermCount::term);
      if (found == terms.end() || found->term != wanted.term) continue;
      const double having = containing.at(wanted.term);
      const double rarity = std::log(1 + (segments_ - having + 0.5) / (having + 0.5));
      score += wanted.count * rarity * found->count * (kSaturation + 1) / (found->count + norm);
    }
    return score;
  }

  const std::vector<EmbedIndex>& indexes_;
  double segments_ = 0, words_ = 0;
};

std::span<const float> vector_of(const std::vector<EmbedIndex>& indexes, const SegmentHit& hit) {
  const EmbedIndex& index = indexes[hit.index];
  return std::span(index.segments).subspan(hit.segment * index.dim, index.dim);
}

double product(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Adds to each score how like the segment is to the best one by words, in standard deviations.
void add_likeness(const std::vector<EmbedIndex>& indexes, const SegmentHit& best,
                  std::vector<SegmentHit>& hits) {
  constexpr double kLikeness = 0.1;  // measured in docs/embed.md
  std::vector<double> likeness;
  double sum = 0, squares = 0;
  for (const SegmentHit& hit : hits) {
    likeness.push_back(product(vector_of(indexes, best), vector_of(indexes, hit)));
    sum += likeness.back();
    squares += likeness.back() * likeness.back();
  }
  const double count = static_cast<double>(hits.size()), mean = sum / count;
  const double deviation = std::sqrt(std::max(squares / count - mean * mean, 0.0));
  if (deviation < 1e-6) return;
  for (std::size_t i = 0; i < hits.size(); ++i) hits[i].score += kLikeness * (likeness[i] - mean) / deviation;
}

}  // namespace

std::vector<SegmentHit> find_segments(const std::vector<EmbedIndex>& indexes,
                                      const std::vector<float>& vector, const std::string& query, SearchBy by,
                                      std::size_t count) {
  std::vector<SegmentHit> hits;
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    begins.push_back(hits.size());
    for (std::size_t segment = 0; segment < indexes[i].size(); ++segment) {
      SegmentHit hit{i, segment, 0, 0, 0};
      hit.similarity = product(vector, vector_of(indexes, hit));
      hits.push_back(hit);
    }
  }
  WordSearch(indexes).search(query, [&](std::size_t index, std::size_t segment, double score) {
    hits[begins[index] + segment].words = score;
  });
  const auto best = std::ranges::max_element(hits, {}, &SegmentHit::words);
  const bool words = by != SearchBy::kVectors && best != hits.end() && best->words > 0;
  if (words) {
    const double most = best->words;
    for (SegmentHit& hit : hits) hit.score = hit.words / most;
    if (by == SearchBy::kBoth) add_likeness(indexes, SegmentHit(*best), hits);
  } else if (by != SearchBy::kWords) {
    for (SegmentHit& hit : hits) hit.score = hit.similarity;
  }
  if (by == SearchBy::kWords) std::erase_if(hits, [](const SegmentHit& hit) { return hit.words == 0; });
  std::ranges::stable_sort(hits, std::greater(), &SegmentHit::score);
  if (hits.size() > count) hits.resize(count);
  return hits;
}

}  // namespace unroll
