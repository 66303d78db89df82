// The steps that measure: the device's own throughput, and the model's speed on it.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "bench/model/logprobs.h"
#include "bench/model/steps.h"
#include "model/block_model.h"

namespace unroll {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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

/// Prints a row, with what computes and, if that is not the fastest, why.
void print_speed(const char* dtype, BlockModel& model, std::size_t documents, double seconds) {
  const auto& info = model.info();
  std::printf("| %s | %s | %zu | %.0f | %s |\n", dtype, info.form.c_str(), documents,
              speed(model, documents, seconds), info.form_problem.c_str());
  std::fflush(stdout);
}

struct Rates {
  double multiplication, memory;
};

Rates rates_of(const std::string& device, bool bf16) {
  return {multiplication_rate(at::Device(device), bf16 ? at::kBFloat16 : at::kFloat),
          copy_rate(at::Device(device))};
}

/// A form in which a model can be loaded, and the numbers of documents that say something about it.
struct Variant {
  const char* form;
  std::string device;
  bool graphs;
  std::vector<std::size_t> documents;
};

std::vector<Variant> variants_on(const std::string& device) {
  if (device == "cpu") return {{"packed", device, false, {1, 16}}};
  return {{"kernels+graphs", device, true, {1, 2, 4, 8, 64, 256}},
          {"kernels", device, false, {1, 8}},  // with more documents, no graph is used
          {"operators", "cuda-plain", false, {1, 64, 256}}};
}

}  // namespace

ModelConfig readme_config() {
  ModelConfig config;
  config.num_tokens = 20'000;
  config.dim = 512;
  config.depth = 6;
  config.num_state_vectors = 512;
  config.recurrent_layers = config.read_recurrent_layers = {4};
  return config;
}

void show_device(const Bench& bench) {
  for (const bool bf16 : {false, true})
    std::printf("%s: %.1f TFLOP/s of products of large matrices\n", bf16 ? "bf16" : "fp32",
                rates_of(bench.device, bf16).multiplication / 1e12);
  std::printf("memory: %.0f GB/s read and written by a copy\n", copy_rate(at::Device(bench.device)) / 1e9);
}

void measure_speed(const Bench& bench) {
  const auto config = readme_config();
  std::printf(
      "| numbers | by | documents | tokens/s | of multiplication | of memory |\n|---|---|---|---|---|---|\n");
  for (const bool bf16 : {true, false}) {
    const auto* dtype = bf16 ? "bf16" : "fp32";
    const auto limits = rates_of(bench.device, bf16);
    for (const auto& variant : variants_on(bench.device)) {
      const auto model = load_block_model(
          bench.checkpoint, {.device = variant.device, .dtype = dtype, .gpu_graphs = variant.graphs});
      const auto& info = model->info();
      for (const auto documents : variant.documents) {
        const auto rate = speed(*model, documents, bench.seconds);
        const auto at_once = std::min(documents, info.batch);
        std::printf(
            "| %s | %s | %zu | %.0f | %.1f %% of %.1f TFLOP/s | %.1f %% of %.0f GB/s |\n", dtype,
            info.form.c_str(), documents, rate,
            100 * rate * operations_per_token(config) / limits.multiplication, limits.multiplication / 1e12,
            100 * rate * bytes_per_token(config, bf16 ? 2 : 4, at_once) / limits.memory, limits.memory / 1e9);
        std::fflush(stdout);
      }
      if (info.form != variant.form)
        throw std::runtime_error(std::string(variant.form) + " was wanted, " + info.form +
                                 " was measured: " + info.form_problem);
    }
  }
}

void measure_rows(const Bench& bench) {
  if (bench.device == "cpu") {
    std::printf("(a GPU's only)\n");
    return;
  }
  constexpr std::size_t kDocuments = 1024;
  std::printf("| rows per launch | tokens/s of %zu documents, bf16 |\n|---|---|\n", kDocuments);
  for (const std::int64_t rows : {16'384, 32'768, 65'536, 131'072}) {
    const auto model =
        load_block_model(bench.checkpoint, {.device = bench.device, .dtype = "bf16", .gpu_rows = rows});
    std::printf("| %ld%s | %.0f |\n", static_cast<long>(rows),
                rows == kRowsOfGpuLaunch ? ", the default" : "", speed(*model, kDocuments, bench.seconds));
    std::fflush(stdout);
  }
}

void measure_pretrained(const Bench& bench) {
  const auto wanted = logprobs_of(*load_block_model(bench.pretrained, {.device = "cpu", .dtype = "fp32"}));
  std::printf("| numbers | by | documents | tokens/s | why not faster |\n|---|---|---|---|---|\n");
  for (const bool bf16 : {true, false}) {
    const auto* dtype = bf16 ? "bf16" : "fp32";
    const auto model = load_block_model(bench.pretrained, {.device = bench.device, .dtype = dtype});
    for (const std::size_t documents :
         {std::size_t{1}, bench.device == "cpu" ? std::size_t{4} : std::size_t{64}})
      print_speed(dtype, *model, documents, bench.seconds);
    const auto found = compare_logprobs(*model, wanted);
    std::printf("%s differs from the CPU's fp32 by %.2e nats on average, %.2e at most\n", dtype, found.mean,
                found.most);
    if (!(found.mean <= (bf16 ? 0.3 : 1e-2)))
      throw std::runtime_error("log-probabilities differ from the CPU's by more than rounding explains");
  }
}

}  // namespace unroll
