// Log-probabilities of some documents by a model, and how far they are from another's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "model/block_model.h"

namespace unroll {

inline constexpr std::size_t kAgreementDocuments = 3;

/// First blocks, then second blocks, ...
inline std::vector<float> logprobs_of(BlockModel& model, std::size_t documents = kAgreementDocuments) {
  constexpr std::size_t kBlocks = 3;
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

struct Agreement {
  double mean = 0, most = 0;  ///< Nats per token.
  bool same_alone = true;     ///< Whether the first document has the same bits alone.
};

/// `wanted`: another model's logprobs_of().
inline Agreement compare_logprobs(BlockModel& model, const std::vector<float>& wanted) {
  const auto found = logprobs_of(model), alone = logprobs_of(model, 1);
  Agreement result;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double difference = std::abs(found[i] - wanted[i]);
    result.mean += difference / static_cast<double>(wanted.size());
    result.most = std::max(result.most, difference);
  }
  const auto width = static_cast<std::ptrdiff_t>(model.info().block_width);
  for (std::ptrdiff_t block = 0; block < std::ssize(alone) / width; ++block)
    result.same_alone =
        result.same_alone &&
        std::equal(alone.begin() + block * width, alone.begin() + (block + 1) * width,
                   found.begin() + block * static_cast<std::ptrdiff_t>(kAgreementDocuments) * width);
  return result;
}

}  // namespace unroll
