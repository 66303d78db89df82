// Finds segments of indexes by their words (BM25), by their vectors, or by both: a few words have no telling
// vector, so the vectors say which segments are like the best one by words (relevance feedback; Rocchio 1971,
// with vectors: Li et al. 2023).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/search/embed_index.h"

namespace unroll {

struct SegmentHit {
  std::size_t index = 0, segment = 0;
  double score = 0;       ///< By which hits are ordered.
  double similarity = 0;  ///< Cosine to the query's vector.
  double words = 0;       ///< BM25; 0 if no word of the query is in the segment.
};

enum class SearchBy { kBoth, kVectors, kWords };

/// The `count` best segments, best first; ties keep their order. Without a word of the query in any segment,
/// kBoth is kVectors. `vector`: the query's, of the indexes'
/// length.
std::vector<SegmentHit> find_segments(const std::vector<EmbedIndex>& indexes,
                                      const std::vector<float>& vector, const std::string& query, SearchBy by,
                                      std::size_t count);

}  // namespace unroll
