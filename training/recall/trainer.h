// Trains a small model for the recall task by a curriculum: when it has learned a distance, the distance is
// increased. Gradients use memory replay, so that memory use does not grow with the distance.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "model/config.h"

namespace unroll::recall {

struct TrainOptions {
  ModelConfig config;          ///< num_tokens is replaced with the task's.
  std::filesystem::path from;  ///< Checkpoint to continue from; empty: new weights.
  std::filesystem::path out;   ///< Checkpoint folder, written when the distance grows and at the end.
  std::int64_t first_distance = 64, last_distance = 8192;  ///< Tokens.
  double growth = 1.5;                                     ///< Factor for the distance after it is learned.
  double learned = 0.95;             ///< Accuracy over the last steps that counts as learned.
  std::int64_t steps = 10'000;       ///< Maximum.
  std::int64_t steps_at_last = 200;  ///< After the last distance is learned.
  int documents = 16;                ///< Per step.
  int pairs = 1;
  double learning_rate = 2e-3;
  double qk_scale = 8;  ///< As in `unroll train`.
  std::int64_t warmup_steps = 100;
  std::uint64_t seed = 1;
  int threads = 0;
};

struct TrainProgress {
  std::int64_t step = 0, distance = 0, tokens = 0;
  double loss = 0, accuracy = 0;  ///< Nats per answer; accuracy over the last steps.
};

/// Returns whether the last distance was learned. If `progress` returns false, training ends.
bool train(TrainOptions options, const std::function<bool(const TrainProgress&)>& progress);

}  // namespace unroll::recall
