// The number of steps and the learning rate of each.
#pragma once

#include <cstdint>

#include "training/trainer.h"

namespace unroll {

/// The learning rate after `step` steps: linear warm-up, then cosine decay to the final rate.
double learning_rate_after(const TrainOptions& options, std::int64_t step);

/// The steps for fine-tuning on this many tokens: some passes over them, with a minimum to learn something
/// and a maximum for the time.
std::int64_t fine_tuning_steps(const TrainOptions& options, std::uint64_t tokens);

}  // namespace unroll
