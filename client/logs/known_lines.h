// The lines of a good log, and how far another line is from them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/logs/line_words.h"

namespace unroll {

/// Lines with the same words.
struct KnownLine {
  std::string text;  ///< Of the first of them.
  std::uint64_t count = 0;
  int severity = 0;  ///< The worst.
};

/// Not thread-safe. Memory grows with the number of different lines, to at most kMost.
class KnownLines {
 public:
  static constexpr std::size_t kMost = 200'000;   ///< Different lines; further ones are not learned.
  static constexpr std::size_t kMostText = 4096;  ///< Bytes of a line that are compared.

  void learn(std::string_view line, int severity, std::uint64_t count = 1);
  std::uint64_t left_out() const { return left_out_; }  ///< Lines that were not learned.
  const std::vector<KnownLine>& lines() const { return lines_; }

  struct Nearest {
    double distance = 1;              ///< 0: the same words; 1: no word in common. 1 minus a cosine.
    const KnownLine* line = nullptr;  ///< Null if nothing is like it.
  };
  /// Rare words weigh more than common ones.
  Nearest nearest(std::string_view line);

 private:
  struct Weighed {
    std::uint32_t feature = 0;  ///< UINT32_MAX if no known line has it.
    double weight = 0;
  };
  void index();
  double weight_of(std::uint64_t lines_with_it, float share) const;
  std::vector<Weighed> weigh(const std::vector<LineFeature>& features) const;
  std::vector<std::uint32_t> candidates(std::vector<Weighed>& features) const;

  std::vector<KnownLine> lines_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_key_;
  std::uint64_t left_out_ = 0;
  bool indexed_ = false;
  // What follows is made by index().
  std::unordered_map<std::uint64_t, std::uint32_t> feature_of_;
  std::vector<std::vector<std::uint32_t>> lines_with_;     ///< By feature.
  std::vector<std::vector<std::uint32_t>> features_of_;    ///< By line, sorted.
  std::vector<float> shares_;                              ///< By feature.
  std::vector<double> norms_;                              ///< By line.
  std::unordered_map<std::uint64_t, Nearest> remembered_;  ///< By key, of lines that were judged.
};

}  // namespace unroll
