// The state for resuming a run exactly: trainer/checkpoint.safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>

#include <nlohmann/json.hpp>

#include "model/block_recurrent_transformer.h"

namespace unroll {

/// Losses in nats per token.
struct ValidationRecord {
  std::optional<double> first, best;
  std::int64_t best_step = 0;
  int worse = 0;  ///< Validations since the best.
};

struct TrainerState {
  std::int64_t step = 0, tokens = 0;
  nlohmann::json lanes;  ///< Lanes::position()
  std::mt19937_64 random;
  ValidationRecord validation;
  nlohmann::json options;  ///< record_of() in run_options.h; null in old checkpoints.
  TensorMap parameters;
  TensorMap average;  ///< WeightAverage::weights(); empty if there is none.
  TensorMap moments;  ///< Optimizer::moments()
  Recurrence recurrence;
};

/// Replaces the file atomically: a crash leaves the old one or the new one.
void save_state(const std::filesystem::path& file, const TrainerState& state);
/// The tensors own their memory. Throws std::runtime_error, which names the file.
TrainerState load_state(const std::filesystem::path& file);

}  // namespace unroll
