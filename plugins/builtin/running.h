// Running statistics of a stream of numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace unroll::builtin {

/// Mean and mean deviation with exponential decay; the effect of an outlier is bounded.
struct Running {
  float mean = 0, deviation = 0;

  /// `count`: number of values before this one.
  void update(double x, std::uint32_t count, std::uint32_t horizon) {
    constexpr double kClip = 4;
    constexpr std::uint32_t kTrusted = 8;
    double difference = x - mean;
    if (count >= kTrusted) {
      const double most = kClip * (deviation + 0.05);
      difference = std::clamp(difference, -most, most);
    }
    const double rate = 1.0 / static_cast<double>(std::min(count + 1, horizon));
    mean = static_cast<float>(mean + rate * difference);
    if (count > 0) deviation = static_cast<float>(deviation + rate * (std::fabs(difference) - deviation));
  }
  void visit(auto& archive) { archive(mean, deviation); }
};

}  // namespace unroll::builtin
