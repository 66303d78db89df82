// The trainer: truncated back-propagation through a few consecutive blocks, with states and memories carried
// from step to step and reset at document starts; AdamW or Muon; warm-up and cosine decay; validation; and
// checkpoints that resume exactly.
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
  std::filesystem::path data;        ///< Folder of text files (documents), or a file of prepare_tokens().
  std::filesystem::path vocabulary;  ///< tokenizer.model
  std::filesystem::path out;         ///< Checkpoint folder; an existing run is resumed.
  std::filesystem::path from;        ///< Checkpoint folder with the initial weights; empty: random.
  ModelConfig config;
  Repeats repeats;
  std::int64_t steps = 1000;       ///< 0: chosen by the size of the data, for fine-tuning (schedule.h).
  int lanes = 4;                   ///< Documents in parallel: the batch.
  int blocks_per_step = 2;         ///< Blocks per back-propagation.
  int accumulate = 1;              ///< Back-propagations per step; their gradients are averaged.
  std::int64_t piece_blocks = 32;  ///< Longer documents are cut into pieces of this many blocks, shuffled.
  double learning_rate = 2e-3;
  double final_learning_rate = 1e-4;
  std::int64_t warmup_steps = 100;
  double qk_scale = 8;        ///< Initial scale of normalised queries and keys; the reference uses 1.
  double weight_decay = 0.1;  ///< For matrices; vectors and embeddings do not decay.
  double clip_norm = 1;
  double memory_dropout = 0;  ///< Probability per back-propagation that all memories are dropped.
  double state_dropout = 0;   ///< Probability per back-propagation that all states are dropped.
  bool memory_replay =
      false;  ///< Gradients in the memory of one block (memory_replay.h), for a third more work.
  double compression_loss = 0;  ///< Weight of the compressed memories' loss (memory.h).
  double average_decay = 0;     ///< Of the weights' moving average, which becomes the model; 0: none.
  std::uint64_t seed = 1;
  std::string optimizer = "adamw";  ///< Or muon (optimizer.h).
  /// Of the matrix products: fp32, bf16, or auto (that of the resumed run, else the faster one on this
  /// machine). Parameters and optimizer stay fp32.
  std::string dtype = "auto";
  /// auto (a GPU if there is one), cpu or cuda. Several processes train on CPUs only.
  std::string device = "auto";
  std::string save_dtype = "bf16";  ///< Of the saved weights: fp32, bf16 or int8.
  std::int64_t checkpoint_steps = 100;
  std::filesystem::path validation;  ///< As `data`; empty: none, or the held-out text.
  double hold_out = 0;               ///< Share of each document, at its end, used for validation.
  std::int64_t validation_steps = 100;
  int patience = 0;  ///< Training ends after this many validations without a new best; 0: never.
  int threads = 0;
};

struct TrainProgress {
  std::int64_t step = 0, steps = 0, tokens = 0;
  double loss = 0;  ///< Of this step, in nats per token.
  double learning_rate = 0, tokens_per_second = 0;
  std::optional<double> validation_loss;  ///< Nats per token, if this step was followed by a validation.
};

/// Called on the caller's thread; all but `step` may be empty.
struct TrainCallbacks {
  std::function<bool(const TrainProgress&)>
      step;  ///< Called after each step. If it returns false, a checkpoint is written and training ends.
  std::function<void(const PrepareProgress&)> preparing;
  std::function<void(const std::string&)> note;  ///< Messages for the user.
};

struct TrainResult {
  std::int64_t step = 0, steps = 0;
  bool ended_early = false;  ///< Because of `patience`.
  /// Loss of the validation text before and after training; absent without validation.
  std::optional<double> first_bits_per_byte, best_bits_per_byte;
  std::int64_t best_step = 0;
};

/// Trains. Afterwards the folder holds a checkpoint (with validation, the best one), and in trainer/ the
/// state for resuming and the loss curve (loss.csv, loss.html). Throws std::runtime_error.
TrainResult train(TrainOptions options, const TrainCallbacks& callbacks);

}  // namespace unroll
