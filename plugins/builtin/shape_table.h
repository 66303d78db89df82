// What lines of each shape have usually been: a table of constant size, which forgets the shapes that are
// least likely to come again.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "unroll/plugin.hpp"

#include "plugins/builtin/running.h"

namespace unroll::builtin {

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

class ShapeTable {
 public:
  /// It is saved after every block: 40 bytes a shape.
  static constexpr std::size_t kMaxShapes = 2048;
  static constexpr std::uint32_t kHorizon = 200;

  /// Valid until the next learn().
  const LineStatistics* find(std::uint64_t hash) const {
    const auto known = by_hash_.find(hash);
    return known == by_hash_.end() ? nullptr : &shapes_[known->second].statistics;
  }
  void learn(std::uint64_t hash, const Features& x) {
    ++clock_;
    auto [known, is_new] = by_hash_.try_emplace(hash, shapes_.size());
    if (is_new && shapes_.size() < kMaxShapes) shapes_.push_back({hash, clock_, {}});
    if (is_new && known->second == kMaxShapes) known->second = replace_one_by(hash);
    Shape& shape = shapes_[known->second];
    shape.last = clock_;
    shape.statistics.update(x, kHorizon);
  }

  void visit(auto& archive) {
    archive(clock_, shapes_);
    if (!archive.kReads) return;
    if (shapes_.size() > kMaxShapes) throw plugin::StateError("the saved state is damaged");
    by_hash_.clear();
    for (std::size_t i = 0; i < shapes_.size(); ++i) by_hash_[shapes_[i].hash] = i;
  }

 private:
  struct Shape {
    std::uint64_t hash = 0;
    std::uint32_t last = 0;  // when it came last, by clock_
    LineStatistics statistics;
    void visit(auto& archive) { archive(hash, last, statistics); }
  };

  /// The one that has been away longest for how often it came: lines that are each of a shape of their own
  /// push out one another, not what recurs.
  std::size_t replace_one_by(std::uint64_t hash) {
    std::size_t oldest = 0;
    double longest = -1;
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
      const std::uint32_t away = clock_ - shapes_[i].last;  // also when the clock has wrapped around
      const double longer = static_cast<double>(away) / std::max(1u, shapes_[i].statistics.count);
      if (longer > longest) {
        longest = longer;
        oldest = i;
      }
    }
    by_hash_.erase(shapes_[oldest].hash);
    shapes_[oldest] = {hash, clock_, {}};
    return oldest;
  }

  std::uint32_t clock_ = 0;
  std::vector<Shape> shapes_;
  std::unordered_map<std::uint64_t, std::size_t> by_hash_;
};

}  // namespace unroll::builtin
