// Shared by the tests of training: a short text, and options with which it is learned in a moment.
#pragma once

#include <string>
#include <vector>

#include <ATen/Parallel.h>

#include "tests/model/testing.h"
#include "training/trainer.h"

namespace unroll {

inline const std::filesystem::path kVocabulary =
    std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model";

inline std::string text(int seed, int lines) {
  std::string result;
  for (int i = 0; i < lines; ++i) {
    result += "line " + std::to_string(i % 10) + " of document " + std::to_string(seed) +
              " says that the server closed the connection\n";
  }
  return result;
}

class Training : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    std::filesystem::create_directories(folder / "data");
    // Longer and shorter than a step, so that rows end, begin and continue.
    for (int i = 0; i < 5; ++i)
      write_file(folder / "data" / ("text-" + std::to_string(i)), text(i, 4 + 9 * i));
  }

  TrainOptions options(const std::string& out) const {
    TrainOptions result;
    result.data = folder / "data";
    result.vocabulary = kVocabulary;
    result.out = folder / out;
    result.config = parse_model_config({{"model_type", "block_recurrent_transformer"},
                                        {"num_tokens", 8192},
                                        {"dim", 32},
                                        {"depth", 2},
                                        {"heads", 2},
                                        {"dim_head", 16},
                                        {"block_width", 32},
                                        {"max_seq_len", 64}});
    result.steps = 12;
    result.lanes = 3;
    result.piece_blocks = 4;
    result.learning_rate = 1e-2;
    result.warmup_steps = 3;
    result.checkpoint_steps = 5;
    // Both use random numbers, whose state resuming must restore.
    result.memory_dropout = result.state_dropout = 0.2;
    result.dtype = "fp32";
    result.save_dtype = "fp32";
    result.threads = 1;
    return result;
  }

  /// Trains until step `last`; returns the losses.
  static std::vector<double> train_to(const TrainOptions& options, std::int64_t last) {
    std::vector<double> losses;
    TrainCallbacks callbacks;
    callbacks.step = [&](const TrainProgress& progress) {
      EXPECT_EQ(progress.steps, options.steps);
      EXPECT_GT(progress.tokens, 0);
      losses.push_back(progress.loss);
      return progress.step < last;
    };
    train(options, callbacks);
    return losses;
  }

  TemporaryFolder folder;
};

}  // namespace unroll
