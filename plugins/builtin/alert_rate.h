// Which scores of an endless stream are alerts, when about so many in a thousand shall be.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "unroll/plugin.hpp"

namespace unroll::builtin {

/// The threshold is a quantile of the scores lately (a histogram that forgets), steered by an allowance: each
/// line earns `share` of an alert, each alert spends one. Who has spent more than was earned needs a higher
/// score, who has earned more a lower one. The allowance is bounded on both sides: in any stretch of n lines
/// of any stream there are at most share * n + 2 * kMostAllowance + 1 alerts, and a burst neither goes on
/// forever nor silences what comes long after it.
class AlertRate {
 public:
  static constexpr double kMostAllowance = 4;
  static constexpr std::uint32_t kWarmUp = 200;  ///< Lines without alerts: what is usual is not known yet.

  explicit AlertRate(double share = 0) : share_(share) {}

  /// Whether this score is an alert; then learns it.
  bool alerts(double score) {
    const bool warm = lines_ >= kWarmUp;
    const bool alert = warm && allowance_ > 1 - kMostAllowance && above(score) < wanted() * weight_;
    if (warm) allowance_ = std::min(kMostAllowance, allowance_ + share_ - (alert ? 1 : 0));
    lines_ = std::min(lines_ + 1, kWarmUp);
    // A burst is one event more than many lines: those that the allowance kept silent count for little.
    learn(score, allowance_ < -kMostAllowance / 2 ? kBurstWeight : 1.0);
    return alert;
  }

  void visit(auto& archive) {
    archive(lines_, allowance_, weight_);
    for (double& x : histogram_) archive(x);
    if (lines_ > kWarmUp || std::fabs(allowance_) > kMostAllowance || weight_ < 0)
      throw plugin::StateError("the saved state is damaged");
  }

 private:
  static constexpr std::size_t kBins = 256;
  static constexpr double kLowest = -4, kBinWidth = 0.125;  // scores up to 28; all above are alike
  static constexpr double kBurstWeight = 0.125;

  /// The share of scores above the threshold. One alert too many or too few changes it by a fourth.
  double wanted() const { return std::min(0.9, share_ * std::exp(allowance_ / kMostAllowance)); }

  static double place(double score) { return std::clamp((score - kLowest) / kBinWidth, 0.0, kBins - 0.001); }
  /// The weight of higher scores; of its own bin's, those in the part above it.
  double above(double score) const {
    const double at = place(score);
    const auto bin = static_cast<std::size_t>(at);
    double sum = histogram_[bin] * (1 - (at - static_cast<double>(bin)));
    for (std::size_t i = bin + 1; i < kBins; ++i) sum += histogram_[i];
    return sum;
  }
  void learn(double score, double weight) {
    constexpr double kFewest = 1000, kMost = 32000, kAlerts = 8;
    const double keep = 1 - 1 / std::clamp(kAlerts / share_, kFewest, kMost);
    for (double& x : histogram_) x *= keep;
    weight_ = weight_ * keep + weight;
    histogram_[static_cast<std::size_t>(place(score))] += weight;
  }

  double share_;
  std::uint32_t lines_ = 0;  // up to kWarmUp
  double allowance_ = 0;     // alerts
  double weight_ = 0;        // of all that is in the histogram
  std::array<double, kBins> histogram_{};
};

}  // namespace unroll::builtin
