// pretrained: scoring speed of the fast form of a pretrained transformer, by type: tokens per second, and the
// share of LibTorch's square product in the same run. Types alternate; each figure is the best of its rounds,
// because other programs on the machine only add time. Uses a checkpoint, or random weights in the shape of
// the options (SmolLM2-135M's).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include "model/load_network.h"
#include "model/load_transformer.h"
#include "model/pretrained/checkpoint.h"
#include "model/pretrained/packed_pretrained.h"

namespace unroll {
namespace {

struct Options {
  std::int64_t dim = 576, layers = 30, heads = 9, kv_heads = 3, head_dim = 64, inner = 1536,
               vocabulary = 49152;
  std::int64_t block_width = 512, documents = 1;
  std::vector<std::string> dtypes{"fp32", "bf16", "int8"};
  int threads = 2, rounds = 5, blocks = 2;
  bool forward_only = false, json = false;
  std::filesystem::path model;
};

PretrainedConfig config_of(const Options& options) {
  PretrainedConfig config;
  config.model_type = "llama";
  config.vocabulary = options.vocabulary;
  config.hidden_size = options.dim;
  config.layers = options.layers;
  config.heads = options.heads;
  config.kv_heads = options.kv_heads;
  config.head_dim = options.head_dim;
  config.intermediate_size = options.inner;
  config.block_width = options.block_width;
  config.tied = true;
  config.bos = 0;
  for (std::int64_t i = 0; i < options.head_dim / 2; ++i)
    config.inverse_frequencies.push_back(1 / static_cast<float>(1 + i));
  return config;
}

PretrainedWeights random_weights(const PretrainedConfig& config) {
  const auto dim = config.hidden_size;
  const auto linear = [](std::int64_t out, std::int64_t in) {
    return PretrainedLinear{at::randn({out, in}).mul_(0.02), {}};
  };
  PretrainedWeights weights;
  weights.embedding = at::randn({config.vocabulary, dim}).mul_(0.02);
  for (std::int64_t i = 0; i < config.layers; ++i)
    weights.layers.push_back({at::ones({dim}),
                              linear(config.inner_dim(), dim),
                              linear(config.kv_dim(), dim),
                              linear(config.kv_dim(), dim),
                              linear(dim, config.inner_dim()),
                              {},
                              {},
                              at::ones({dim}),
                              linear(config.intermediate_size, dim),
                              linear(config.intermediate_size, dim),
                              linear(dim, config.intermediate_size)});
  weights.norm = at::ones({dim});
  weights.output = weights.embedding;
  return weights;
}

/// Operations per token once memories are full, without masked positions and padding.
double operations_per_token(const PretrainedConfig& config) {
  const auto dim = config.hidden_size, inner = config.inner_dim();
  const auto layer = 2 * dim * inner + 2 * dim * config.kv_dim() + 3 * dim * config.intermediate_size;
  const double seen =
      static_cast<double>(config.memory_positions()) + static_cast<double>(config.block_width + 1) / 2;
  return 2 * (static_cast<double>(config.layers * layer + config.vocabulary * dim) +
              static_cast<double>(config.layers * 2 * inner) * seen);
}

template <typename Work>
double best_seconds(int rounds, const Work& work) {
  auto best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < rounds; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return best;
}

/// Operations per second of LibTorch's square product.
double limit(const std::string& dtype) {
  constexpr std::int64_t kSize = 2048;
  const auto type = dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const auto a = at::randn({kSize, kSize}).to(type), b = at::randn({kSize, kSize}).to(type);
  return 2.0 * kSize * kSize * kSize / best_seconds(5, [&] { at::mm(a, b); });
}

class Stream {
 public:
  Stream(std::unique_ptr<Network> network, const Options& options)
      : options_(options), network_(std::move(network)), width_(network_->shape().block_width) {
    tokens_ = at::randint(0, network_->shape().num_tokens, {options.documents, width_}, at::kLong);
    for (int i = 0; i < 2; ++i) run();  // fills the memories
  }
  void run() {
    const std::vector<std::int32_t> targets(static_cast<std::size_t>(width_), 7);
    std::vector<float> logprobs;
    const auto hidden = network_->forward_block(tokens_, recurrence_);
    if (options_.forward_only) return;
    network_->score(hidden, std::vector<Scored>(static_cast<std::size_t>(options_.documents),
                                                Scored{targets, &logprobs, nullptr}))();
  }
  void measure() {
    best_ = std::min(best_, best_seconds(options_.blocks, [&] { run(); }));
  }
  double tokens_per_second() const { return static_cast<double>(width_ * options_.documents) / best_; }

 private:
  const Options& options_;
  std::unique_ptr<Network> network_;
  std::int64_t width_;
  at::Tensor tokens_;
  Recurrence recurrence_;
  double best_ = std::numeric_limits<double>::infinity();
};

std::unique_ptr<Network> network_of(const Options& options, const std::string& dtype) {
  if (!options.model.empty())
    return load_network(options.model, {.device = "cpu", .dtype = dtype, .threads = options.threads}).network;
  at::manual_seed(1);
  const auto config = config_of(options);
  const PretrainedTransformer definition(config, random_weights(config),
                                         dtype == "fp32" ? at::kFloat : at::kBFloat16);
  return std::make_unique<PackedPretrained>(definition, arithmetic_of(dtype));
}

void measure(const Options& options) {
  at::set_num_threads(options.threads);
  std::map<std::string, double> limits;
  std::map<std::string, Stream> streams;
  for (const auto& dtype : options.dtypes) {
    if (!cpu_supports(arithmetic_of(dtype))) continue;
    streams.try_emplace(dtype, network_of(options, dtype), options);
    if (dtype != "int8") limits[dtype] = limit(dtype);
  }
  at::set_num_threads(1);  // LibTorch's threads would spin beside the network's own
  for (int i = 0; i < options.rounds; ++i)
    for (auto& [dtype, stream] : streams) stream.measure();
  const auto operations = operations_per_token(
      options.model.empty() ? config_of(options) : PretrainedCheckpoint(options.model).config());
  if (options.json) {
    nlohmann::json all;
    for (auto& [dtype, stream] : streams) all[dtype] = stream.tokens_per_second();
    std::printf("%s\n", all.dump().c_str());
    return;
  }
  std::printf("%d threads, %.1f million operations per token\n\n", options.threads, operations / 1e6);
  std::printf("| dtype | tokens/s | G operations/s | limit | share |\n|---|---|---|---|---|\n");
  for (auto& [dtype, stream] : streams) {
    const auto rate = operations * stream.tokens_per_second();
    std::printf("| %s | %.0f | %.0f |", dtype.c_str(), stream.tokens_per_second(), rate / 1e9);
    if (limits.contains(dtype)) {
      std::printf(" %.0f | %.0f %% |\n", limits[dtype] / 1e9, 100 * rate / limits[dtype]);
    } else {
      std::printf(" | |\n");
    }
  }
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  unroll::Options options;
  CLI::App app("Scoring speed of a pretrained transformer, by type");
  app.add_option("--model", options.model, "A checkpoint; default: random weights in the shape below");
  app.add_option("--dim", options.dim);
  app.add_option("--layers", options.layers);
  app.add_option("--heads", options.heads);
  app.add_option("--kv-heads", options.kv_heads);
  app.add_option("--head-dim", options.head_dim);
  app.add_option("--inner", options.inner);
  app.add_option("--vocabulary", options.vocabulary);
  app.add_option("--block-width", options.block_width);
  app.add_option("--documents", options.documents, "Blocks per launch");
  app.add_option("--dtype", options.dtypes);
  app.add_option("--threads", options.threads);
  app.add_option("--rounds", options.rounds);
  app.add_option("--blocks", options.blocks, "Blocks per measurement");
  app.add_flag("--json", options.json, "Print only tokens per second, as JSON");
  app.add_flag("--forward-only", options.forward_only, "Without logits");
  CLI11_PARSE(app, argc, argv);
  const c10::InferenceMode guard;
  try {
    unroll::measure(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_pretrained: %s\n", error.what());
    return 1;
  }
}
