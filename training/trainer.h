// The trainer: truncated back-propagation through a few consecutive blocks, states and memories carried on
// from step to step and reset where a document begins; AdamW or Muon; warm-up and cosine decay; validation on
// the way; checkpoints that resume exactly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "model/config.h"
#include "training/lanes.h"
#include "training/token_file.h"

namespace unroll {

struct TrainOptions {
  std::filesystem::path data;        ///< Folder of text files, one a document; or a file of prepare_tokens().
  std::filesystem::path vocabulary;  ///< tokenizer.model
  std::filesystem::path out;         ///< Checkpoint folder; what is there is resumed.
  std::filesystem::path from;        ///< Checkpoint folder whose weights are begun with; empty: fresh ones.
  ModelConfig config;
  Repeats repeats;
  std::int64_t steps = 1000;       ///< 0: by the size of the data, as fine-tuning wants it (schedule.h).
  int lanes = 4;                   ///< Documents side by side: the batch.
  int blocks_per_step = 2;         ///< Back-propagation reaches through so many blocks.
  int accumulate = 1;              ///< Back-propagations a step; their gradients are averaged.
  std::int64_t piece_blocks = 32;  ///< Longer documents are cut into pieces of so many blocks, shuffled.
  double learning_rate = 2e-3;
  double final_learning_rate = 1e-4;
  std::int64_t warmup_steps = 100;
  double qk_scale = 8;        ///< Of normalised queries and keys before the first step; the reference's: 1.
  double weight_decay = 0.1;  ///< Of matrices; vectors and embeddings do not decay.
  double clip_norm = 1;
  double memory_dropout = 0;  ///< Chance, each back-propagation, that all memories are dropped.
  double state_dropout = 0;   ///< Chance, each back-propagation, that all states are dropped.
  bool memory_replay =
      false;  ///< Gradients in the memory of one block (memory_replay.h), for a third more work.
  double compression_loss = 0;  ///< How much the compressed memories' loss (memory.h) counts.
  double average_decay = 0;     ///< Of the weights' moving average, which is then the model; 0: none.
  std::uint64_t seed = 1;
  std::string optimizer = "adamw";  ///< Or muon (optimizer.h).
  /// Of the matrix products: fp32, bf16, or auto: that of the run that is resumed, else what this machine
  /// multiplies faster. Parameters and optimizer stay fp32.
  std::string dtype = "auto";
  std::string save_dtype = "bf16";  ///< Of the weights that are written for use: fp32, bf16 or int8.
  std::int64_t checkpoint_steps = 100;
  std::filesystem::path validation;  ///< As data; empty: none, or what is held out.
  double hold_out = 0;               ///< Share of each document, its end, that is kept for validation.
  std::int64_t validation_steps = 100;
  int patience = 0;  ///< Validations in a row without a new best that end training; 0: never.
  int threads = 0;
};

struct TrainProgress {
  std::int64_t step = 0, steps = 0, tokens = 0;
  double loss = 0;  ///< Nats per token, of this step.
  double learning_rate = 0, tokens_per_second = 0;
  std::optional<double> validation_loss;  ///< Nats per token, where this step was followed by a validation.
};

/// Called on the caller's thread; all but `step` may be left out.
struct TrainCallbacks {
  std::function<bool(const TrainProgress&)>
      step;  ///< False: this step was the last; a checkpoint is written.
  std::function<void(const PrepareProgress&)> preparing;
  std::function<void(const std::string&)> note;  ///< A line of text that the user should see.
};

struct TrainResult {
  std::int64_t step = 0, steps = 0;
  bool ended_early = false;  ///< `patience` ran out.
  /// Of the validation's text, by the model as training began with it and as it is now; absent without any.
  std::optional<double> first_bits_per_byte, best_bits_per_byte;
  std::int64_t best_step = 0;
};

/// Trains. The folder then holds a checkpoint for use (of all that were validated the best), and in trainer/
/// what resuming needs and the loss curve (loss.csv, loss.html). Throws std::runtime_error.
TrainResult train(TrainOptions options, const TrainCallbacks& callbacks);

}  // namespace unroll
