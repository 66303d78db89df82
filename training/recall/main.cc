// recall train: a small model for the recall task, by a curriculum over the distance.
// recall test: its accuracy against the distance, as a table or as JSON.
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "training/recall/task.h"
#include "training/recall/test.h"
#include "training/recall/trainer.h"

namespace unroll::recall {
namespace {

constexpr std::int64_t kStepsInLine = 50;

int run_train(TrainOptions& options, const std::filesystem::path& config, std::int64_t block_width) {
  options.config = load_model_config(config);
  if (block_width > 0) {
    options.config.block_width = block_width;
    options.config.max_seq_len = 2 * block_width;
  }
  const bool learned = train(options, [](const TrainProgress& progress) {
    if (progress.step % kStepsInLine == 0) {
      std::fprintf(stderr, "step %lld  distance %lld  loss %.3f  accuracy %.3f  tokens %lld\n",
                   static_cast<long long>(progress.step), static_cast<long long>(progress.distance),
                   progress.loss, progress.accuracy, static_cast<long long>(progress.tokens));
    }
    return true;
  });
  std::fprintf(stderr, learned ? "learned\n" : "the last distance was not learned\n");
  return learned ? 0 : 1;
}

int run_test(const TestOptions& options, bool json) {
  auto rows = nlohmann::json::array();
  for (const auto distance : options.distances) {
    const auto result = test(options, distance);
    if (json) {
      rows.push_back({{"distance", distance},
                      {"documents", result.documents},
                      {"right", result.right},
                      {"accuracy", result.accuracy()},
                      {"chance", kChance},
                      {"tokens_per_second", result.tokens_per_second}});
    } else {
      std::printf("%8lld tokens  %5.1f %%  (%d of %d; chance %.1f %%)\n", static_cast<long long>(distance),
                  100 * result.accuracy(), result.right, result.documents, 100 * kChance);
      std::fflush(stdout);
    }
  }
  if (json) std::cout << rows.dump(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace unroll::recall

int main(int argc, char** argv) try {
  using namespace unroll::recall;
  CLI::App app("The recall task: a key and its value, filler, then a question for the key");
  app.require_subcommand(1);
  TrainOptions train_options;
  std::filesystem::path config;
  std::int64_t block_width = 0;
  auto* train = app.add_subcommand("train", "Train a small model");
  train->add_option("--config", config, "config.json of the model")->required();
  train->add_option("--from", train_options.from, "Checkpoint to continue from");
  train->add_option("--out", train_options.out, "Checkpoint folder")->required();
  train->add_option("--block-width", block_width, "Overrides the configuration's");
  train->add_option("--first-distance", train_options.first_distance, "Tokens")->capture_default_str();
  train->add_option("--distance", train_options.last_distance, "Last distance, in tokens")
      ->capture_default_str();
  train->add_option("--growth", train_options.growth, "Factor for a learned distance")->capture_default_str();
  train->add_option("--learned", train_options.learned, "Share of right answers")->capture_default_str();
  train->add_option("--steps", train_options.steps, "Maximum")->capture_default_str();
  train->add_option("--steps-at-last", train_options.steps_at_last, "Minimum at the last distance")
      ->capture_default_str();
  train->add_option("--documents", train_options.documents, "Documents per step")->capture_default_str();
  train->add_option("--pairs", train_options.pairs, "Keys with values in a document")->capture_default_str();
  train->add_option("--learning-rate", train_options.learning_rate)->capture_default_str();
  train->add_option("--qk-scale", train_options.qk_scale)->capture_default_str();
  train->add_option("--seed", train_options.seed)->capture_default_str();
  train->add_option("--threads", train_options.threads, "0: one per core");

  TestOptions test_options;
  test_options.distances = {1000, 4000, 16'000, 60'000, 250'000};
  std::string format = "text";
  auto* test = app.add_subcommand("test", "Accuracy against the distance");
  test->add_option("--model", test_options.model, "Checkpoint folder")->required();
  test->add_option("--distances", test_options.distances, "Tokens")->delimiter(',')->capture_default_str();
  test->add_option("--documents", test_options.documents, "Documents per distance")->capture_default_str();
  test->add_option("--together", test_options.together, "Documents per batch")->capture_default_str();
  test->add_option("--pairs", test_options.pairs, "Keys with values in a document")->capture_default_str();
  test->add_option("--drop", test_options.dropped, "Dropped after each block: memories, states, routed")
      ->delimiter(',');
  test->add_option("--seed", test_options.seed)->capture_default_str();
  test->add_option("--threads", test_options.threads, "0: one per core");
  test->add_option("--format", format)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return *train ? run_train(train_options, config, block_width) : run_test(test_options, format == "json");
} catch (const std::exception& error) {
  std::cerr << "recall: " << error.what() << "\n";
  return 1;
}
