// routed_memory: the cost of a block with 250,000 tokens in routed memory, compared with the same network
// without it, in the sizes of the reference's README; both alternate in one run.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <c10/core/InferenceMode.h>

#include "model/block_recurrent_transformer.h"
#include "model/cpu/packed_transformer.h"

namespace unroll::bench {
namespace {

ModelConfig readme_config() {
  ModelConfig config;
  config.num_tokens = 20'000;
  config.dim = 512;
  config.depth = 6;
  config.recurrent_layers = config.read_recurrent_layers = {3};
  config.num_state_vectors = config.block_width;
  return config;
}

/// Enough blocks to reach `tokens` back, with random keys and values: the search visits all of them.
RoutedMemory filled(const ModelConfig& config, std::int64_t tokens) {
  RoutedMemory memory;
  const bool int8 = config.routed_memory_dtype == "int8";
  for (std::int64_t at = 0; at < tokens; at += config.block_width) {
    auto block = std::make_shared<RoutedBlock>();
    const auto kv = at::randn({2, 1, config.block_width, config.kv_dim()});
    block->kv = int8 ? (kv * 30).clamp(-127, 127).to(at::kChar) : kv.to(at::kBFloat16);
    if (int8) block->scales = at::full({2, 1, config.block_width, 1}, 1.0 / 30);
    block->routes =
        at::randn({1, config.block_width / config.routed_memory_segment, config.routed_memory_dim})
            .to(at::kBFloat16);
    memory.push_back(std::move(block));
  }
  return memory;
}

class Reader {
 public:
  Reader(const ModelConfig& config, Arithmetic arithmetic, RoutedMemory memory)
      : network_({config, random_parameters(config)}, arithmetic),
        tokens_(at::randint(config.num_tokens, {1, config.block_width}, at::kLong)) {
    network_.forward_block(tokens_, recurrence_);
    recurrence_.routed = std::move(memory);
  }
  double milliseconds_of_a_block() {
    auto before = recurrence_;
    const auto start = std::chrono::steady_clock::now();
    network_.forward_block(tokens_, before);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  PackedTransformer network_;
  at::Tensor tokens_;
  Recurrence recurrence_;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void compare(Arithmetic arithmetic, const char* name, std::int64_t tokens, std::int64_t segment, int rounds) {
  if (!cpu_supports(arithmetic)) return;
  const auto base_config = readme_config();
  auto config = base_config;
  config.routed_memory_layer = 4;
  config.routed_memory_tokens = tokens;
  config.routed_memory_segment = segment;
  config.routed_memory_dtype = arithmetic == Arithmetic::kInt8 ? "int8" : "bf16";
  Reader base(base_config, arithmetic, {}), routed(config, arithmetic, filled(config, tokens));
  std::vector<double> without, with;
  for (int i = 0; i < rounds; ++i) {
    without.push_back(base.milliseconds_of_a_block());
    with.push_back(routed.milliseconds_of_a_block());
  }
  std::printf(
      "%-5s segments of %2lld: a block without %7.1f ms, with %7.1f ms: %.2f times; %.1f MiB per document\n",
      name, static_cast<long long>(segment), median(without), median(with), median(with) / median(without),
      static_cast<double>(routed_memory_bytes(config)) / (1 << 20));
}

}  // namespace
}  // namespace unroll::bench

int main(int argc, char** argv) {
  using namespace unroll;
  CLI::App app("The cost of routed memory");
  std::int64_t tokens = 250'000;
  int rounds = 15, threads = 0;
  app.add_option("--tokens", tokens)->capture_default_str();
  app.add_option("--rounds", rounds)->capture_default_str();
  app.add_option("--threads", threads, "0: one per core");
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) at::set_num_threads(threads);
  const c10::InferenceMode guard;
  for (const std::int64_t segment : {8, 4}) {
    bench::compare(Arithmetic::kFp32, "fp32", tokens, segment, rounds);
    bench::compare(Arithmetic::kBf16, "bf16", tokens, segment, rounds);
    bench::compare(Arithmetic::kInt8, "int8", tokens, segment, rounds);
  }
}
