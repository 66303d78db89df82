#include "training/recall/test.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "model/load_network.h"
#include "training/recall/task.h"

namespace unroll::recall {
namespace {

void drop(Recurrence& recurrence, const std::vector<std::string>& dropped) {
  for (const auto& what : dropped) {
    if (what == "memories") {
      recurrence.memories.clear();
    } else if (what == "states") {
      recurrence.states.clear();
    } else if (what == "routed") {
      recurrence.routed.clear();
    } else {
      throw std::runtime_error("'" + what + "' cannot be dropped: use memories, states or routed");
    }
  }
}

/// The model's answer for each document, int64 [documents].
at::Tensor answers(Network& network, const at::Tensor& tokens, const std::vector<std::string>& dropped) {
  Recurrence recurrence;
  at::Tensor hidden;
  for (const auto& block : tokens.split(network.shape().block_width, 1)) {
    hidden = network.forward_block(block.contiguous(), recurrence);
    drop(recurrence, dropped);
  }
  return network.logits(hidden.select(1, -1).contiguous()).argmax(-1);
}

}  // namespace

TestResult test(const TestOptions& options, std::int64_t distance) {
  const c10::InferenceMode guard;
  if (options.threads > 0) at::set_num_threads(options.threads);
  const auto loaded = load_network(options.model, {"cpu", "fp32", options.threads});
  auto& network = *loaded.network;
  const auto width = network.shape().block_width;
  if (network.shape().num_tokens != kVocabulary)
    throw std::runtime_error(options.model.string() + " is not a model of this task: its vocabulary differs");
  Source source(Split::kTest, options.seed + static_cast<std::uint64_t>(distance));
  std::mt19937_64 random(options.seed);
  TestResult result{distance, 0, 0, 0};
  double seconds = 0, tokens = 0;
  while (result.documents < options.documents) {
    const auto count = std::min(options.together, options.documents - result.documents);
    const auto before = std::uniform_int_distribution<std::int64_t>(0, width - 1)(random);
    std::vector<at::Tensor> rows;
    std::vector<std::int64_t> expected;
    for (int i = 0; i < count; ++i) {
      auto document = source.make(before, distance, options.pairs);
      rows.push_back(at::tensor(document.tokens));
      expected.push_back(document.answer);
    }
    const auto start = std::chrono::steady_clock::now();
    const auto all = at::stack(rows);
    const auto given = answers(network, all, options.dropped);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    tokens += static_cast<double>(all.numel());
    result.right += static_cast<int>((given == at::tensor(expected)).sum().item<std::int64_t>());
    result.documents += count;
  }
  result.tokens_per_second = tokens / seconds;
  return result;
}

}  // namespace unroll::recall
