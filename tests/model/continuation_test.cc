// Each distribution of a Continuation equals the one that the token is scored with when the whole text is
// read.
#include "model/continuation.h"

#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int32_t kTokens = 50;
constexpr std::size_t kWidth = 8;
constexpr double kTolerance = 1e-5;

struct Kind {
  bool compressed = false;
  std::int64_t cache_tokens = 0;
  const char* gate = "fixed";  // memformer is computed by LibTorch's operators, whatever the dtype
};

class ContinuationTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    at::manual_seed(7);
    const auto config = three_layers({{"use_compressed_mem", GetParam().compressed},
                                      {"compressed_mem_factor", 4},
                                      {"document_cache_tokens", GetParam().cache_tokens},
                                      {"state_gate", GetParam().gate}});
    save_checkpoint(folder.path(), config, random_parameters(config), "fp32");
    std::mt19937 random(3);
    for (std::size_t i = 0; i < 5 * kWidth + 3; ++i)
      tokens.push_back(i % 3 == 0 ? 7 : static_cast<std::int32_t>(random() % kTokens));
  }

  /// log p of every token at each position, as blocks are scored.
  std::vector<std::vector<float>> scored() const {
    const auto model = load_block_model(folder.path(), {"cpu", "fp32", 1});
    std::vector<std::vector<float>> rows;
    ModelStatePtr state;
    for (std::span<const std::int32_t> rest = tokens; !rest.empty();) {
      const BlockInput block{state, rest.first(std::min(kWidth, rest.size())), {.top_k = kTokens}};
      const auto output = std::move(model->run({&block, 1}).front());
      for (std::size_t i = 0; i < block.tokens.size(); ++i) {
        rows.emplace_back(kTokens);
        for (std::size_t k = i * kTokens; k < (i + 1) * kTokens; ++k)
          rows.back()[static_cast<std::size_t>(output.top_ids[k])] = output.top_logprobs[k];
      }
      rest = rest.subspan(block.tokens.size());
      state = output.next;
    }
    return rows;
  }
  Continuation start() const { return {folder.path(), {"cpu", "fp32", 1}}; }
  static void expect_near(std::span<const float> actual, const std::vector<float>& expected,
                          std::size_t place) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t id = 0; id < expected.size(); ++id)
      ASSERT_NEAR(actual[id], expected[id], kTolerance) << "token " << id << " at " << place;
  }

  TemporaryFolder folder;
  std::vector<std::int32_t> tokens;
};

TEST_P(ContinuationTest, TokenByTokenIsWhatBlocksAreScoredWith) {
  const auto expected = scored();
  auto continuation = start();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    expect_near(continuation.next(), expected[i], i);
    continuation.read({&tokens[i], 1});
  }
}

TEST_P(ContinuationTest, PiecesOfAnyLengthComeToTheSame) {
  const auto expected = scored();
  for (const std::size_t piece : {2u, 5u, 8u, 11u, 43u}) {
    auto continuation = start();
    for (std::size_t i = 0; i + piece <= tokens.size(); i += piece) {
      if (i % 2 == 0) expect_near(continuation.next(), expected[i], i);
      continuation.read(std::span(tokens).subspan(i, piece));
    }
    const auto left = tokens.size() % piece;
    if (left > 0) expect_near(continuation.next(), expected[tokens.size() - left], piece);
  }
}

TEST_P(ContinuationTest, GoesOnAfterTheBlocksOfABlockModel) {
  const auto expected = scored();
  for (const std::string dtype : {"fp32", "bf16"}) {
    const auto model = load_block_model(folder.path(), {"cpu", dtype, 1});
    ModelStatePtr state;
    for (const std::size_t blocks : {0u, 1u, 4u}) {
      const auto begin = blocks * kWidth;
      state.reset();
      for (std::size_t i = 0; i < begin; i += kWidth) {
        const BlockInput block{state, std::span(tokens).subspan(i, kWidth), {}};
        state = model->run({&block, 1}).front().next;
      }
      auto continuation = start();
      continuation.restore(state ? state->serialize() : std::vector<std::byte>(), model->info().checkpoint);
      for (std::size_t i = begin; dtype == "fp32" && i < tokens.size(); ++i) {
        expect_near(continuation.next(), expected[i], i);
        continuation.read({&tokens[i], 1});
      }
    }
  }
  auto continuation = start();
  EXPECT_THROW(continuation.restore({}, "0123456789abcdef"), std::runtime_error);
}

TEST_P(ContinuationTest, ADistributionAddsUpToOne) {
  auto continuation = start();
  continuation.read(tokens);
  double sum = 0;
  for (const auto logprob : continuation.next()) sum += std::exp(static_cast<double>(logprob));
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_P(ContinuationTest, WithoutItsCacheTheNetworkAloneSpeaks) {
  Continuation continuation(folder.path(), {"cpu", "fp32", 1}, false);
  continuation.read(tokens);
  const c10::InferenceMode guard;
  const auto config = load_model_config(folder / "config.json");
  const BlockRecurrentTransformer model(config, load_parameters(folder.path(), config));
  std::vector<std::int64_t> inputs{1};
  inputs.insert(inputs.end(), tokens.begin(), tokens.end());
  Recurrence recurrence;
  const auto logprobs =
      at::log_softmax(model.forward(at::tensor(inputs).unsqueeze(0), recurrence), -1)[0][-1];
  const auto* expected = logprobs.const_data_ptr<float>();
  expect_near(continuation.next(), {expected, expected + kTokens}, tokens.size());
}

TEST_P(ContinuationTest, TokensOutsideTheVocabularyAreRefused) {
  auto continuation = start();
  for (const std::int32_t token : {-1, kTokens}) {
    EXPECT_THROW(continuation.read({&token, 1}), std::invalid_argument);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ContinuationTest,
                         testing::Values(Kind{}, Kind{.compressed = true}, Kind{.cache_tokens = 20},
                                         Kind{.compressed = true, .cache_tokens = 1000},
                                         Kind{.gate = "memformer"}));

}  // namespace
}  // namespace unroll
