// Finds segments of indexes by their words (BM25) and by their vectors; the two rankings are joined by
// reciprocal rank fusion (Cormack, Clarke, Buettcher 2009).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/search/embed_index.h"

namespace unroll {

struct SegmentHit {
  std::size_t index = 0, segment = 0;
  double score = 0;       ///< By which hits are ordered; at most 1, the best in both rankings.
  double similarity = 0;  ///< Cosine of the vectors.
  double words = 0;       ///< BM25; 0 if no word of the query is in the segment.
};

enum class SearchBy { kBoth, kVectors, kWords };

/// The `count` best segments, best first; ties keep their order. `vector`: the query's, of the indexes'
/// length.
std::vector<SegmentHit> find_segments(const std::vector<EmbedIndex>& indexes,
                                      const std::vector<float>& vector, const std::string& query, SearchBy by,
                                      std::size_t count);

}  // namespace unroll
