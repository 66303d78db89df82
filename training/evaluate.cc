#include "training/evaluate.h"

#include <chrono>
#include <numbers>
#include <stdexcept>

#include <sys/resource.h>

#include "training/token_blocks.h"

namespace unroll {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void EvalResult::set_rates(double seconds) {
  if (bytes > 0) bits_per_byte = nats / std::numbers::ln2 / static_cast<double>(bytes);
  tokens_per_second = static_cast<double>(tokens) / seconds;
}

EvalResult evaluate(const std::filesystem::path& model_directory, const std::filesystem::path& file,
                    const ModelOptions& options, std::uint64_t reset_tokens,
                    const std::function<void(std::uint64_t bytes)>& progress) {
  const auto model = load_block_model(model_directory, options);
  EvalResult result;
  ModelStatePtr state;
  std::uint64_t since_reset = 0;
  const auto start = Clock::now();
  const auto run_block = [&](std::span<const std::int32_t> tokens, std::uint64_t end) {
    const BlockInput block{state, tokens, {}};
    auto output = std::move(model->run({&block, 1}).front());
    state = std::move(output.next);
    for (const auto logprob : output.logprobs) result.nats -= logprob;
    result.tokens += tokens.size();
    since_reset += tokens.size();
    if (reset_tokens > 0 && since_reset >= reset_tokens) {
      state.reset();
      since_reset = 0;
    }
    if (progress) progress(end);
    return true;
  };
  result.bytes = for_each_block(file, Vocabulary::load(model_directory),
                                static_cast<std::size_t>(model->info().block_width), run_block);

  result.set_rates(seconds_since(start));
  return result;
}

BenchResult bench(const std::filesystem::path& model_directory, const ModelOptions& options, int batch,
                  double seconds) {
  if (batch < 1) throw std::runtime_error("--batch must be at least 1");
  const auto model = load_block_model(model_directory, options);
  const auto& info = model->info();
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < info.block_width; ++i) {
    ids.push_back(static_cast<std::int32_t>((i * 7919 + 17) % info.num_tokens));
  }
  std::vector<BlockInput> blocks(static_cast<std::size_t>(batch), BlockInput{nullptr, ids, {}});
  const auto run = [&] {
    auto outputs = model->run(blocks);
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].state = std::move(outputs[i].next);
  };
  run();
  std::int64_t tokens = 0;
  const auto start = Clock::now();
  do {
    run();
    tokens += info.block_width * batch;
  } while (seconds_since(start) < seconds);

  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {static_cast<double>(tokens) / seconds_since(start),
          static_cast<std::uint64_t>(usage.ru_maxrss) * 1024, info.device, info.dtype, batch};
}

}  // namespace unroll
