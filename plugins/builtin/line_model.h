// How odd a line is, given the lines before it: its surprisal compared with earlier lines of its shape and
// with all lines, how rare a new shape is, and how much the line's severity exceeds the usual. Constant
// memory; the same lines give the same scores.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "plugins/builtin/aging_table.h"
#include "plugins/builtin/line_shape.h"
#include "plugins/builtin/running.h"

namespace unroll::builtin {

/// A line's surprisal in nats: the sum over its tokens, their mean, and the highest.
struct LineSurprisal {
  double sum = 0, mean = 0, highest = 0;
  bool known = true;  ///< False if the model did not read the line.
};

/// What a line says of itself.
struct LineFacts {
  int severity = 0;      ///< As in records::RecordFacts.
  bool written = false;  ///< Its program wrote a level.
  bool detail = false;   ///< Its program wrote a level below information.
  double number = 0;     ///< OddNumber::bonus
};

/// What a line's score is made of.
struct LineScore {
  double total = 0;  ///< The sum of the others.
  double surprisal = 0, novelty = 0, numbers = 0, severity = 0;

  void scale(double factor) {
    for (double* part : {&total, &surprisal, &novelty, &numbers, &severity}) *part *= factor;
  }
};

inline constexpr std::size_t kFeatures = 3;
using Features = std::array<double, kFeatures>;

/// Running statistics of lines.
struct LineStatistics {
  std::uint32_t count = 0;
  std::array<Running, kFeatures> features;

  void update(const Features& x, std::uint32_t horizon) {
    for (std::size_t f = 0; f < kFeatures; ++f) features[f].update(x[f], count, horizon);
    count_line(horizon);
  }
  /// A line of which only the shape is known.
  void count_line(std::uint32_t horizon) { count = std::min(count + 1, horizon); }
  void visit(auto& archive) {
    archive(count);
    for (auto& feature : features) archive(feature);
  }
};
/// Statistics of one shape; 40 bytes.
using ShapeTable = AgingTable<LineStatistics, 2048>;

class LineModel {
 public:
  /// Scores the line against those before it, then adds it to the statistics. Higher is odder; about 0 is
  /// usual, above 5 rare.
  LineScore score(const LineShape& shape, const LineSurprisal& surprisal, const LineFacts& facts) {
    // Logarithms, because surprisal is skewed: factors matter more than differences.
    const Features x = {std::log1p(surprisal.sum), std::log1p(surprisal.mean), std::log1p(surprisal.highest)};
    const auto* whole = shapes_.find(shape.whole);
    const auto* head = shapes_.find(shape.head);
    LineScore score;
    if (surprisal.known) score.surprisal = trust(whole) * deviation(x, head, whole);
    score.novelty = new_whole_.bonus(whole == nullptr) + new_head_.bonus(head == nullptr);
    score.numbers = facts.number;
    score.total = score.surprisal + score.novelty + score.numbers;
    if (facts.written && facts.severity == 0 && score.total > kRoutine)
      score.scale(routine(score.total) / score.total);
    score.severity = severity_.bonus(facts);
    score.total += score.severity;
    if (facts.detail) score.scale(kDetail);
    score.scale(lines_.count / (lines_.count + kColdLines));

    new_whole_.update(whole == nullptr);
    new_head_.update(head == nullptr);
    severity_.update(facts.severity);
    add(lines_, x, surprisal.known, kLinesHorizon);
    levels_ += ((facts.written ? 1.0 : 0.0) - levels_) / lines_.count;
    add(shapes_.touch(shape.whole), x, surprisal.known, kShapeHorizon);
    add(shapes_.touch(shape.head), x, surprisal.known, kShapeHorizon);
    return score;
  }

  void visit(auto& archive) { archive(lines_, new_whole_, new_head_, severity_, shapes_); }
  /// What visit() leaves out, because documents of version 7 lack it.
  void visit_levels(auto& archive) { archive(levels_); }
  /// Of such a document: as it went on until now.
  void assume_levels() { levels_ = 1; }

 private:
  static constexpr std::uint32_t kLinesHorizon = 2000, kShapeHorizon = 200;
  static constexpr double kColdLines = 32;  // lines until scores count half
  static constexpr double kShrink = 4;      // weight of the coarser statistics, in lines of the shape
  static constexpr double kLeastDeviation = 0.1;
  // Chosen by measurement: docs/anomaly.md.
  static constexpr double kLeastTrust = 0.25, kEachSeverity = 2.5, kEachWritten = 4;
  static constexpr double kRoutine = 5;   // from which the score of a routine line grows slowly
  static constexpr double kDetail = 0.5;  // of lines of level debug or trace, which differ without a problem

  /// The recent rate of novelty, and the value of a novelty in nats.
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

  /// The mean severity of lines, and the value of a higher one.
  struct UsualSeverity {
    double mean = 0;
    std::uint32_t count = 32;  // as if there had been this many routine lines
    /// A level that the program wrote says more than words, unless such levels are common here.
    double bonus(const LineFacts& facts) const {
      const double above = std::max(0.0, facts.severity - mean);
      if (!facts.written || above == 0) return kEachSeverity * above;
      const double share = above / facts.severity;
      return kEachWritten * above * share * share;
    }
    void update(int severity) {
      count = std::min(count + 1, kLinesHorizon);
      mean += (severity - mean) / count;
    }
    void visit(auto& archive) { archive(mean, count); }
  };

  /// That a program says that all is well counts, but does not change the order of such lines. It says
  /// nothing in a log whose lines have no levels.
  double routine(double odd) const { return odd + levels_ * (kRoutine + std::log1p(odd - kRoutine) - odd); }

  static void add(LineStatistics& statistics, const Features& x, bool known, std::uint32_t horizon) {
    if (known)
      statistics.update(x, horizon);
    else
      statistics.count_line(horizon);
  }

  /// In a well-known shape, surprisal reflects how its numbers vary, and rarely a problem.
  static double trust(const LineStatistics* whole) {
    const double known = whole == nullptr ? 0.0 : whole->count;
    return std::max(kLeastTrust, kShrink / (kShrink + known));
  }

  /// From all lines, and from those of its shape.
  double deviation(const Features& x, const LineStatistics* head, const LineStatistics* whole) const {
    return above_usual(deviation_from(x, {&lines_})) + above_usual(deviation_from(x, {&lines_, head, whole}));
  }

  /// Maps values below the usual to nearly 0: less surprising than usual is routine.
  static double above_usual(double deviations) {
    return deviations > 20 ? deviations : std::log1p(std::exp(2 * deviations)) / 2;
  }

  /// In mean deviations, averaged over the features. Each level's statistics are shrunk towards the coarser
  /// level before it.
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

  LineStatistics lines_;
  NewRate new_whole_, new_head_;
  UsualSeverity severity_;
  double levels_ = 0;  ///< The share of lines with a written level.
  ShapeTable shapes_;
};

}  // namespace unroll::builtin
