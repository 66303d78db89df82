// Evaluation and benchmark of a trained model.
#include "training/evaluate.h"

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "tests/training/fixture.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

using testing::HasSubstr;

TEST_F(Training, EvaluationOfWhatWasTrained) {
  const auto trained = options("out");
  train_to(trained, 12);
  const auto file = folder / "data/text-4";
  const ModelOptions cpu{"cpu", "fp32", 1};
  std::uint64_t last = 0;
  const auto result = evaluate(trained.out, file, cpu, 0, [&](std::uint64_t bytes) { last = bytes; });

  const auto bytes = read_file(file);
  StreamingTokenizer tokenizer(Vocabulary::load(kVocabulary));
  std::vector<Token> tokens;
  tokenizer.append(bytes, tokens);
  tokenizer.finish(tokens);
  EXPECT_EQ(result.bytes, bytes.size());
  EXPECT_EQ(last, bytes.size());
  EXPECT_EQ(result.tokens, tokens.size());
  EXPECT_NE(tokens.size() % 32, 0u) << "the last block is to be a partial one";
  EXPECT_GT(result.tokens_per_second, 0);
  EXPECT_TRUE(std::isfinite(result.bits_per_byte));
  EXPECT_GT(result.bits_per_byte, 0);
  EXPECT_LT(result.nats / static_cast<double>(result.tokens), std::log(8192.0)) << "it has learned something";
  EXPECT_DOUBLE_EQ(result.bits_per_byte, result.nats / std::numbers::ln2 / static_cast<double>(bytes.size()));

  EXPECT_EQ(evaluate(trained.out, file, cpu).nats, result.nats);
  const auto reset = evaluate(trained.out, file, cpu, 64);
  EXPECT_EQ(reset.tokens, result.tokens);
  EXPECT_NE(reset.nats, result.nats) << "what came before counts";
  EXPECT_EQ(evaluate(trained.out, file, cpu, result.tokens).nats, result.nats);
}

TEST_F(Training, EvaluationOfLittleAndOfNothing) {
  const auto trained = options("out");
  train_to(trained, 1);
  const ModelOptions cpu{"cpu", "fp32", 1};
  write_file(folder / "empty", "");
  const auto empty = evaluate(trained.out, folder / "empty", cpu);
  EXPECT_EQ(empty.tokens, 0u);
  EXPECT_EQ(empty.bytes, 0u);
  EXPECT_EQ(empty.bits_per_byte, 0);
  write_file(folder / "byte", "a");
  EXPECT_EQ(evaluate(trained.out, folder / "byte", cpu).tokens, 1u);
  EXPECT_THAT(error_of([&] { evaluate(trained.out, folder / "none", cpu); }),
              HasSubstr((folder / "none").string()));
  EXPECT_THROW(evaluate(trained.out, folder.path(), cpu), std::runtime_error);
  EXPECT_THROW(evaluate(folder / "none", folder / "byte", cpu), std::runtime_error);
}

TEST_F(Training, Bench) {
  const auto trained = options("out");
  train_to(trained, 1);
  const auto result = bench(trained.out, {"cpu", "fp32", 1}, 2, 0.01);
  EXPECT_GT(result.tokens_per_second, 0);
  EXPECT_GT(result.peak_rss_bytes, 1u << 20);
  EXPECT_EQ(result.device, "cpu");
  EXPECT_EQ(result.batch, 2);
  EXPECT_THROW(bench(trained.out, {"cpu", "fp32", 1}, 0), std::runtime_error);
}

}  // namespace
}  // namespace unroll
