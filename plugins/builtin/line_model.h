// How odd a line is, given the lines before it: its surprisal against what lines of its shape, and all lines,
// have usually had, and how rare it is here that a shape is new. Constant memory; the same lines give the
// same scores.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <list>
#include <unordered_map>
#include <vector>

#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/running.h"

namespace unroll::builtin {

/// A line's surprisal in nats: of all its tokens, the mean of them, and the highest mean over a few in a row.
struct LineSurprisal {
  double sum = 0, mean = 0, peak = 0;
};

inline constexpr std::size_t kFeatures = 3;
using Features = std::array<double, kFeatures>;

struct LineStatistics {
  std::uint32_t count = 0;
  std::array<Running, kFeatures> features;

  void update(const Features& x, std::uint32_t horizon) {
    for (std::size_t f = 0; f < kFeatures; ++f) features[f].update(x[f], count, horizon);
    count = std::min(count + 1, horizon);
  }
  void visit(auto& archive) {
    archive(count);
    for (auto& feature : features) archive(feature);
  }
};

class LineModel {
 public:
  static constexpr std::size_t kMaxShapes = 4096;  ///< The one not seen for the longest is forgotten.

  /// Scores the line against those before it, then learns it. Higher is odder; 0 is usual, below 0 is
  /// routine.
  double score(const LineShape& shape, const LineSurprisal& surprisal) {
    // Logarithms: surprisal is skewed, and a factor matters more than a difference.
    const Features x = {std::log1p(surprisal.sum), std::log1p(surprisal.mean), std::log1p(surprisal.peak)};
    const auto* whole = find(shape.whole);
    const auto* head = find(shape.head);
    const double against_lines = deviation_from(x, {&lines_});
    const double against_shape = deviation_from(x, {&lines_, head, whole});
    const double novelty = new_whole_.bonus(whole == nullptr) + new_head_.bonus(head == nullptr);
    const double odd = kLinesWeight * against_lines + kShapeWeight * against_shape + kNoveltyWeight * novelty;
    const double confidence = lines_.count / (lines_.count + kColdLines);

    new_whole_.update(whole == nullptr);
    new_head_.update(head == nullptr);
    lines_.update(x, kLinesHorizon);
    learn(shape.whole, x);
    learn(shape.head, x);
    return odd * confidence;
  }

  void visit(auto& archive) {
    archive(lines_, new_whole_, new_head_);
    std::vector<Shape> shapes(shapes_.begin(), shapes_.end());
    archive(shapes);
    if (!archive.kReads) return;
    shapes_.assign(shapes.begin(), shapes.end());
    index_shapes();
  }
  LineModel() = default;
  LineModel(const LineModel& other) { *this = other; }
  LineModel& operator=(const LineModel& other) {
    lines_ = other.lines_;
    new_whole_ = other.new_whole_;
    new_head_ = other.new_head_;
    shapes_ = other.shapes_;
    index_shapes();
    return *this;
  }

 private:
  static constexpr std::uint32_t kLinesHorizon = 2000, kShapeHorizon = 200;
  static constexpr double kColdLines = 32;  // so many lines until scores count half
  static constexpr double kLinesWeight = 1.0, kShapeWeight = 1.0, kNoveltyWeight = 0.7;
  static constexpr double kShrink = 4;  // a shape's own statistics weigh as its lines against so many
  static constexpr double kLeastDeviation = 0.1;

  /// How often something is new, lately; and what it is worth, in nats, that something is.
  struct NewRate {
    double rate = 1;
    std::uint32_t count = 0;
    double bonus(bool is_new) const {
      const double n = count;
      return is_new ? -std::log((rate * n + 0.5) / (n + 1)) : 0.0;
    }
    void update(bool is_new) {
      count = std::min(count + 1, kLinesHorizon);
      rate += ((is_new ? 1.0 : 0.0) - rate) / count;
    }
    void visit(auto& archive) { archive(rate, count); }
  };

  struct Shape {
    std::uint64_t hash = 0;
    LineStatistics statistics;
    void visit(auto& archive) { archive(hash, statistics); }
  };

  /// In mean deviations, averaged over the features. Each level's statistics are drawn towards the coarser
  /// before it.
  static double deviation_from(const Features& x, std::initializer_list<const LineStatistics*> levels) {
    double total = 0;
    for (std::size_t f = 0; f < kFeatures; ++f) {
      double mean = 0, deviation = 0, weight = 0;
      for (const auto* level : levels) {
        if (level == nullptr || level->count == 0) continue;
        const double own = weight == 0 ? 1.0 : level->count / (level->count + kShrink);
        mean += own * (level->features[f].mean - mean);
        deviation += own * (level->features[f].deviation - deviation);
        weight = 1;
      }
      if (weight > 0) total += (x[f] - mean) / (deviation + kLeastDeviation);
    }
    return total / kFeatures;
  }

  void index_shapes() {
    by_hash_.clear();
    for (auto it = shapes_.begin(); it != shapes_.end(); ++it) by_hash_[it->hash] = it;
  }

  const LineStatistics* find(std::uint64_t hash) const {
    const auto it = by_hash_.find(hash);
    return it == by_hash_.end() ? nullptr : &it->second->statistics;
  }

  void learn(std::uint64_t hash, const Features& x) {
    const auto known = by_hash_.find(hash);
    if (known != by_hash_.end()) {
      shapes_.splice(shapes_.begin(), shapes_, known->second);
    } else {
      if (shapes_.size() == kMaxShapes) {
        by_hash_.erase(shapes_.back().hash);
        shapes_.pop_back();
      }
      shapes_.push_front({hash, {}});
      by_hash_[hash] = shapes_.begin();
    }
    shapes_.front().statistics.update(x, kShapeHorizon);
  }

  LineStatistics lines_;
  NewRate new_whole_, new_head_;
  std::list<Shape> shapes_;  // the latest in front
  std::unordered_map<std::uint64_t, std::list<Shape>::iterator> by_hash_;
};

}  // namespace unroll::builtin
