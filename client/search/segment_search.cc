#include "client/search/segment_search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

namespace unroll {
namespace {

/// Of a segment among all segments.
struct Ranked {
  SegmentHit hit;
  std::size_t words_rank = 0, vector_rank = 0;  ///< From 1.
};

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

/// Sets `rank` of each by falling `value`.
void rank(std::vector<Ranked>& all, double SegmentHit::*value, std::size_t Ranked::*rank) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return all[i].hit.*value; });
  for (std::size_t i = 0; i < order.size(); ++i) all[order[i]].*rank = i + 1;
}

}  // namespace

std::vector<SegmentHit> find_segments(const std::vector<EmbedIndex>& indexes,
                                      const std::vector<float>& vector, const std::string& query, SearchBy by,
                                      std::size_t count) {
  // As in the paper; the vectors' share is measured in docs/embed.md.
  constexpr double kFusion = 60, kVectorShare = 0.5;
  std::vector<Ranked> all;
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    begins.push_back(all.size());
    const EmbedIndex& index = indexes[i];
    for (std::size_t segment = 0; segment < index.size(); ++segment) {
      const float* row = index.segments.data() + segment * index.dim;
      all.push_back({{i, segment, 0, std::inner_product(vector.begin(), vector.end(), row, 0.0), 0}});
    }
  }
  WordSearch(indexes).search(query, [&](std::size_t index, std::size_t segment, double score) {
    all[begins[index] + segment].hit.words = score;
  });
  rank(all, &SegmentHit::similarity, &Ranked::vector_rank);
  rank(all, &SegmentHit::words, &Ranked::words_rank);
  std::vector<SegmentHit> hits;
  const double words_share = by == SearchBy::kVectors ? 0 : by == SearchBy::kWords ? 1 : 1 - kVectorShare;
  for (Ranked& each : all) {
    const bool has_words = each.hit.words > 0;
    if (by == SearchBy::kWords && !has_words) continue;
    const auto part = [](std::size_t rank) { return (kFusion + 1) / (kFusion + static_cast<double>(rank)); };
    each.hit.score =
        (has_words ? words_share * part(each.words_rank) : 0) + (1 - words_share) * part(each.vector_rank);
    hits.push_back(each.hit);
  }
  std::ranges::stable_sort(hits, std::greater(), &SegmentHit::score);
  if (hits.size() > count) hits.resize(count);
  return hits;
}

}  // namespace unroll
