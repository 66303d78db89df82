// Trains a small model to recall, by a curriculum over the distance: as soon as it answers, it is asked for
// what was longer ago. Gradients come by memory replay, so that memory does not grow with the distance.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "model/config.h"

namespace unroll::recall {

struct TrainOptions {
  ModelConfig config;          ///< num_tokens is set to the task's.
  std::filesystem::path from;  ///< Checkpoint to go on from; empty: fresh weights.
  std::filesystem::path out;   ///< Checkpoint folder, written whenever the distance grows, and at the end.
  std::int64_t first_distance = 64, last_distance = 8192;  ///< Tokens.
  double growth = 1.5;               ///< Of the distance, when the model has learned the last one.
  double learned = 0.95;             ///< Share of right answers, over the last steps, that counts as learned.
  std::int64_t steps = 10'000;       ///< At most.
  std::int64_t steps_at_last = 200;  ///< After the last distance is learned.
  int documents = 16;                ///< A step.
  int pairs = 1;
  double learning_rate = 2e-3;
  double qk_scale = 8;  ///< As unroll train's.
  std::int64_t warmup_steps = 100;
  std::uint64_t seed = 1;
  int threads = 0;
};

struct TrainProgress {
  std::int64_t step = 0, distance = 0, tokens = 0;
  double loss = 0, accuracy = 0;  ///< Nats an answer; share of right answers over the last steps.
};

/// Returns whether the last distance was learned. `progress` may end training by returning false.
bool train(TrainOptions options, const std::function<bool(const TrainProgress&)>& progress);

}  // namespace unroll::recall
