// model_speed: the model of the reference's README with random weights, on a device: one document and many,
// in each type of numbers, beside what the device multiplies by itself in the same run. Prints a table.
//     bench_model [cpu|cuda [SECONDS of each figure]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <unistd.h>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"

namespace unroll {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

ModelConfig readme_config() {
  ModelConfig config;
  config.num_tokens = 20'000;
  config.dim = 512;
  config.depth = 6;
  config.num_state_vectors = 512;
  config.recurrent_layers = config.read_recurrent_layers = {4};
  return config;
}

/// Floating-point operations of a token in the middle of a long document, as bench/compare.py counts them.
double operations_per_token(const ModelConfig& config) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double dim = number(config.dim), inner = number(config.inner_dim()), kv = number(config.kv_dim()),
               states = number(config.num_state_vectors), width = number(config.block_width);
  const double layer = 2 * dim * inner + 2 * dim * kv + 3 * dim * number(config.ff_inner_dim());
  const double attention = 2 * inner * (width + (width + 1) / 2);
  const double cell =
      (4 * dim * inner + 2 * dim * kv + dim * dim + 2 * inner * (states + width)) * states / width;
  const double read = 2 * dim * inner + 2 * inner * states;
  return 2 * (number(config.depth) * (layer + attention) + cell + read + dim * number(config.num_tokens));
}

/// Operations a second of the best of some square products.
double multiplication_rate(at::Device device, at::ScalarType type) {
  const std::int64_t size = device.is_cuda() ? 8192 : 2048;
  const auto a = at::randn({size, size}, at::kFloat).to(device, type), b = a.clone();
  double best = 1e9;
  for (int i = 0; i < 10; ++i) {
    const auto start = Clock::now();
    at::matmul(a, b)[0][0].item();  // waits for the device
    best = std::min(best, seconds_since(start));
  }
  return 2.0 * static_cast<double>(size) * static_cast<double>(size) * static_cast<double>(size) / best;
}

/// Tokens a second of `documents` side by side, blocks of each in turn.
double speed(BlockModel& model, std::size_t documents, double seconds) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < model.info().block_width; ++i)
    tokens.push_back(static_cast<std::int32_t>((i * 7919 + 17) % model.info().num_tokens));
  std::vector<BlockInput> blocks(documents, BlockInput{nullptr, tokens, {}});
  const auto run = [&] {
    auto outputs = model.run(blocks);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].state = std::move(outputs[i].next);
  };
  run();
  run();
  std::size_t read = 0;
  const auto start = Clock::now();
  do {
    run();
    read += documents * tokens.size();
  } while (seconds_since(start) < seconds);
  return static_cast<double>(read) / seconds_since(start);
}

void measure(const std::filesystem::path& folder, const std::string& device, double seconds) {
  const auto config = readme_config();
  save_checkpoint(folder, config, random_parameters(config), "fp32");
  std::printf(
      "| numbers | documents | tokens/s | share of the device's multiplication |\n|---|---|---|---|\n");
  for (const char* dtype : {"fp32", "bf16"}) {
    const auto model = load_block_model(folder, {device, dtype, 0});
    const auto type = std::string(dtype) == "bf16" ? at::kBFloat16 : at::kFloat;
    const auto limit = multiplication_rate(at::Device(model->info().device), type);
    for (const std::size_t documents : {1, 16, 64}) {
      const auto rate = speed(*model, documents, seconds);
      std::printf("| %s | %zu | %.0f | %.1f %% of %.1f TFLOP/s |\n", dtype, documents, rate,
                  100 * rate * operations_per_token(config) / limit, limit / 1e12);
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  const c10::InferenceMode guard;
  const auto folder = std::filesystem::temp_directory_path() / ("unroll-bench-" + std::to_string(::getpid()));
  int status = 0;
  try {
    unroll::measure(folder, argc > 1 ? argv[1] : "auto", argc > 2 ? std::stod(argv[2]) : 10);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_model: %s\n", error.what());
    status = 1;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return status;
}
