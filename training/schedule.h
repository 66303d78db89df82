// How many steps, and how far each goes.
#pragma once

#include <cstdint>

#include "training/trainer.h"

namespace unroll {

/// Of the step that follows `step` steps: linear warm-up, then a cosine down to the final rate.
double learning_rate_after(const TrainOptions& options, std::int64_t step);

/// For fine-tuning on so many tokens: some passes over them, but never so few that nothing is learned nor so
/// many that it takes hours.
std::int64_t fine_tuning_steps(const TrainOptions& options, std::uint64_t tokens);

}  // namespace unroll
