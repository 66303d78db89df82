// Decides which scores of an endless stream are alerts, for a given rate of alerts.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "unroll/plugin.hpp"

namespace unroll::builtin {

/// The threshold is a quantile of recent scores (a histogram with decay), controlled by an allowance: each
/// line adds `share` to it, each alert subtracts 1. A negative allowance raises the threshold, a positive one
/// lowers it. The allowance is bounded on both sides: any n consecutive lines of any stream have at most
/// share * n + 2 * kMostAllowance + 1 alerts, and a burst neither lasts forever nor suppresses much later
/// alerts.
class AlertRate {
 public:
  static constexpr double kMostAllowance = 4;
  static constexpr std::uint32_t kWarmUp = 200;  ///< First lines, without alerts: the usual is not known yet.

  explicit AlertRate(double share = 0) : share_(share) {}

  /// Returns whether this score is an alert, then adds it to the histogram.
  bool alerts(double score) {
    const bool warm = lines_ >= kWarmUp;
    const bool alert = warm && allowance_ > 1 - kMostAllowance && above(score) < wanted() * weight_;
    if (warm) allowance_ = std::min(kMostAllowance, allowance_ + share_ - (alert ? 1 : 0));
    lines_ = std::min(lines_ + 1, kWarmUp);
    // A burst is one event rather than many lines: scores that the allowance suppressed count little.
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

  /// The share of scores above the threshold. Each alert too many or too few changes it by a fourth.
  double wanted() const { return std::min(0.9, share_ * std::exp(allowance_ / kMostAllowance)); }

  static double place(double score) { return std::clamp((score - kLowest) / kBinWidth, 0.0, kBins - 0.001); }
  /// The weight of higher scores; of its own bin, the part above it.
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
  double weight_ = 0;        // total weight of the histogram
  std::array<double, kBins> histogram_{};
};

}  // namespace unroll::builtin
