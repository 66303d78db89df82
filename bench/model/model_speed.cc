// model_speed: measures the model of the reference's README with random weights on a device: one document and
// many, in each type of numbers, on a GPU with and without this program's kernels and graphs; and the
// device's own arithmetic and memory throughput in the same run. Prints tables.
//     bench_model [cpu|cuda [SECONDS of each figure]]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
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

/// Floating-point operations per token in the middle of a long document, as bench/compare.py counts them.
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

/// Bytes moved per token if `documents` are read side by side and nothing stays in a cache: weights, and
/// intermediate results of model/gpu/.
double bytes_per_token(const ModelConfig& config, double number_bytes, std::size_t documents) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  const double dim = number(config.dim), inner = number(config.inner_dim()), kv = number(config.kv_dim()),
               ff = number(config.ff_inner_dim()), entry = inner + 2 * kv, tokens = number(config.num_tokens);
  // fp32: sums and memories. numbers: inputs and outputs of products.
  const double sums = 4 * (2 * 2 * dim + 3 * 2 * kv);
  const double numbers = 8 * dim + 3 * entry + 2 * kv + 3 * inner + 4 * kv + 6 * ff;
  const double weights = number(config.depth) * (dim * (entry + inner + 3 * ff)) + dim * tokens;
  return number(config.depth) * (sums + number_bytes * numbers) + 4 * dim +
         number_bytes * 2 * (dim + tokens) +
         number_bytes * weights / (static_cast<double>(documents) * number(config.block_width));
}

/// Best of ten runs, in seconds; `run` returns a tensor that depends on the work.
template <typename Run>
double best_of_ten(Run&& run) {
  double best = 1e9;
  for (int i = 0; i < 10; ++i) {
    const auto start = Clock::now();
    run().item();  // waits for the device
    best = std::min(best, seconds_since(start));
  }
  return best;
}

/// Operations per second of a square product.
double multiplication_rate(at::Device device, at::ScalarType type) {
  const std::int64_t size = device.is_cuda() ? 8192 : 2048;
  const auto a = at::randn({size, size}, at::kFloat).to(device, type), b = a.clone();
  const auto length = static_cast<double>(size);
  return 2 * length * length * length / best_of_ten([&] { return at::matmul(a, b)[0][0]; });
}

/// Bytes per second that a copy reads and writes.
double copy_rate(at::Device device) {
  const std::int64_t count = device.is_cuda() ? 1 << 28 : 1 << 26;
  const auto from = at::ones({count}, at::TensorOptions(device)), to = at::empty_like(from);
  return 2.0 * static_cast<double>(from.nbytes()) /
         best_of_ten([&] { return at::Tensor(to).copy_(from)[0]; });
}

/// Tokens per second of `documents` side by side, one block of each after the other.
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

/// Log-probabilities of the tokens of `documents`: first blocks, then second blocks, ...
std::vector<float> logprobs(BlockModel& model, std::size_t documents) {
  constexpr int kBlocks = 3;
  const auto width = static_cast<std::size_t>(model.info().block_width);
  std::vector<std::int32_t> tokens(documents * width * kBlocks);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int32_t>((i * i * 31 + i * 7919 + 17) %
                                          static_cast<std::size_t>(model.info().num_tokens));
  std::vector<BlockInput> blocks(documents);
  std::vector<float> all;
  for (std::size_t block = 0; block < kBlocks; ++block) {
    for (std::size_t i = 0; i < documents; ++i)
      blocks[i].tokens = std::span(tokens).subspan((i * kBlocks + block) * width, width);
    auto outputs = model.run(blocks);
    for (std::size_t i = 0; i < documents; ++i) {
      all.insert(all.end(), outputs[i].logprobs.begin(), outputs[i].logprobs.end());
      blocks[i].state = std::move(outputs[i].next);
    }
  }
  return all;
}

struct Variant {
  const char* name;
  bool kernels, graphs;
  std::vector<std::size_t> documents;
};

std::vector<Variant> variants_on(const std::string& device) {
  if (device == "cpu") return {{"model/cpu/", true, true, {1, 16}}};
  return {{"LibTorch's operators", false, false, {1, 8, 64, 256}},
          {"own kernels", true, false, {1, 8}},  // with more documents, no graph is used
          {"own kernels, graphs", true, true, {1, 8, 64, 256}}};
}

void measure_speed(const std::filesystem::path& folder, const std::string& device, double seconds) {
  const auto config = readme_config();
  const auto moved = copy_rate(at::Device(device));
  std::printf(
      "| numbers | by | documents | tokens/s | of multiplication | of memory |\n|---|---|---|---|---|---|\n");
  for (const char* dtype : {"fp32", "bf16"}) {
    const bool bf16 = std::string(dtype) == "bf16";
    const auto limit = multiplication_rate(at::Device(device), bf16 ? at::kBFloat16 : at::kFloat);
    for (const auto& variant : variants_on(device)) {
      const auto model = load_block_model(folder, {device, dtype, 0, variant.kernels, variant.graphs});
      for (const auto documents : variant.documents) {
        const auto rate = speed(*model, documents, seconds);
        const auto at_once = std::min(documents, model->info().batch);
        std::printf("| %s | %s | %zu | %.0f | %.1f %% of %.1f TFLOP/s | %.1f %% of %.0f GB/s |\n", dtype,
                    variant.name, documents, rate, 100 * rate * operations_per_token(config) / limit,
                    limit / 1e12, 100 * rate * bytes_per_token(config, bf16 ? 2 : 4, at_once) / moved,
                    moved / 1e9);
        std::fflush(stdout);
      }
    }
  }
}

/// Compares with the CPU in fp32, in nats per token; and the first document with the same document read
/// alone.
void measure_agreement(const std::filesystem::path& folder, const std::string& device) {
  constexpr std::size_t kDocuments = 3;
  const auto wanted = logprobs(*load_block_model(folder, {"cpu", "fp32", 0}), kDocuments);
  std::printf(
      "\n| numbers | by | log-probabilities differ by, mean | at most | alone and among %zu |\n"
      "|---|---|---|---|---|\n",
      kDocuments);
  for (const char* dtype : {"fp32", "bf16"}) {
    for (const auto& variant : variants_on(device)) {
      const auto model = load_block_model(folder, {device, dtype, 0, variant.kernels, variant.graphs});
      const auto found = logprobs(*model, kDocuments), alone = logprobs(*model, 1);
      double sum = 0, most = 0;
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const double difference = std::abs(found[i] - wanted[i]);
        sum += difference;
        most = std::max(most, difference);
      }
      const auto width = static_cast<std::ptrdiff_t>(model->info().block_width);
      bool same = true;
      for (std::ptrdiff_t block = 0; block < std::ssize(alone) / width; ++block)
        same = same && std::equal(alone.begin() + block * width, alone.begin() + (block + 1) * width,
                                  found.begin() + block * static_cast<std::ptrdiff_t>(kDocuments) * width);
      std::printf("| %s | %s | %.2e | %.2e | %s |\n", dtype, variant.name,
                  sum / static_cast<double>(wanted.size()), most, same ? "same bits" : "different bits");
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
    const std::string device = argc > 1 ? argv[1] : "cuda";
    const auto config = unroll::readme_config();
    unroll::save_checkpoint(folder, config, unroll::random_parameters(config), "fp32");
    if (device == "cuda")
      unroll::load_block_model(folder, {device, "fp32", 0});  // loads LibTorch's library for the device
    unroll::measure_speed(folder, device, argc > 2 ? std::stod(argv[2]) : 5);
    unroll::measure_agreement(folder, device);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_model: %s\n", error.what());
    status = 1;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return status;
}
