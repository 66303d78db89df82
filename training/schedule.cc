#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace unroll {
namespace {

constexpr std::uint64_t kPasses = 2;
constexpr std::uint64_t kFewestSteps = 50, kMostSteps = 300;

}  // namespace

double learning_rate_after(const TrainOptions& options, std::int64_t step) {
  if (step < options.warmup_steps) {
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  const auto done = static_cast<double>(step - options.warmup_steps) /
                    static_cast<double>(std::max<std::int64_t>(1, options.steps - options.warmup_steps));
  const auto cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
  return options.final_learning_rate + (options.learning_rate - options.final_learning_rate) * cosine;
}

std::int64_t fine_tuning_steps(const TrainOptions& options, std::uint64_t tokens) {
  const auto of_step =
      static_cast<std::uint64_t>(options.lanes) * static_cast<std::uint64_t>(options.blocks_per_step) *
      static_cast<std::uint64_t>(options.accumulate) * static_cast<std::uint64_t>(options.config.block_width);
  return static_cast<std::int64_t>(std::clamp(kPasses * (tokens / of_step + 1), kFewestSteps, kMostSteps));
}

}  // namespace unroll
