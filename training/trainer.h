// The trainer: truncated back-propagation through a few consecutive blocks, states and memories carried on
// from step to step and reset where a document begins; AdamW; warm-up and cosine decay; checkpoints that
// resume exactly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "model/config.h"
#include "training/data.h"

namespace unroll {

struct TrainOptions {
  std::filesystem::path data;        ///< Folder of text files, one a document.
  std::filesystem::path vocabulary;  ///< tokenizer.model
  std::filesystem::path out;         ///< Checkpoint folder; what is there is resumed.
  ModelConfig config;
  Repeats repeats;
  std::int64_t steps = 1000;
  int lanes = 4;                   ///< Documents side by side: the batch.
  int blocks_per_step = 2;         ///< Back-propagation reaches through so many blocks.
  std::int64_t piece_blocks = 32;  ///< Longer documents are cut into pieces of so many blocks, shuffled.
  double learning_rate = 2e-3;
  double final_learning_rate = 1e-4;
  std::int64_t warmup_steps = 100;
  double qk_scale = 8;        ///< Of normalised queries and keys before the first step; the reference's: 1.
  double weight_decay = 0.1;  ///< Of matrices; vectors and embeddings do not decay.
  double clip_norm = 1;
  double memory_dropout = 0;  ///< Chance, each step, that all memories are dropped.
  double state_dropout = 0;   ///< Chance, each step, that all states are dropped.
  std::uint64_t seed = 1;
  std::string dtype = "bf16";       ///< Of the matrix products; parameters and optimizer stay fp32.
  std::string save_dtype = "bf16";  ///< Of the weights that are written for use: fp32, bf16 or int8.
  std::int64_t checkpoint_steps = 100;
  int threads = 0;
};

struct TrainProgress {
  std::int64_t step = 0, steps = 0, tokens = 0;
  double loss = 0;  ///< Nats per token, of this step.
  double learning_rate = 0, tokens_per_second = 0;
};

/// Trains, calling `progress` after each step; a step for which it returns false is the last (a checkpoint is
/// written). The folder then holds a checkpoint for use, and in trainer/ what resuming needs and the loss
/// curve (loss.csv). Throws std::runtime_error.
void train(const TrainOptions& options, const std::function<bool(const TrainProgress&)>& progress);

}  // namespace unroll
