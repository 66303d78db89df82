// Learning while reading: it helps on a uniform document, never looks ahead, and saves a model like any
// other.
#include "training/adapt.h"

#include <cmath>
#include <fstream>
#include <string>

#include <ATen/ATen.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "tests/model/testing.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

using testing::HasSubstr;

const fs::path kVocabulary = fs::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model";

class AdaptTest : public testing::Test {
 protected:
  void SetUp() override { make_model("fp32", 0); }

  void make_model(const std::string& storage, std::int64_t cache_tokens) {
    at::manual_seed(5);
    const auto config = parse_model_config({{"model_type", "block_recurrent_transformer"},
                                            {"num_tokens", 8192},
                                            {"dim", 16},
                                            {"depth", 2},
                                            {"dim_head", 8},
                                            {"heads", 2},
                                            {"block_width", 16},
                                            {"max_seq_len", 32},
                                            {"recurrent_layers", {1}},
                                            {"num_state_vectors", 4},
                                            {"document_cache_tokens", cache_tokens}});
    save_checkpoint(model(), config, random_parameters(config), storage);
    fs::copy_file(kVocabulary, model() / "tokenizer.model", fs::copy_options::overwrite_existing);
  }
  fs::path model() const { return folder / "model"; }
  fs::path text(const std::string& name, int lines, const std::string& end = "") const {
    std::ofstream out(folder / name);
    for (int i = 0; i < lines; ++i)
      out << "line " << i % 10 << " says that the server closed the connection\n";
    out << end;
    return folder / name;
  }
  EvalResult adapted(const fs::path& file, const AdaptOptions& options = {}) const {
    return Adapter(model(), options).read(file);
  }

  TemporaryFolder folder;
};

TEST_F(AdaptTest, WithoutAStepItIsEvaluation) {
  for (const std::int64_t cache_tokens : {0, 100}) {
    make_model("fp32", cache_tokens);
    const auto file = text("a", 20);
    const auto expected = evaluate(model(), file, {"cpu", "fp32", 0});
    const auto result = adapted(file, {.learning_rate = 0});
    EXPECT_NEAR(result.nats, expected.nats, 1e-3 * expected.nats);
    EXPECT_EQ(result.tokens, expected.tokens);
    EXPECT_EQ(result.bytes, expected.bytes);
    EXPECT_NEAR(result.bits_per_byte, expected.bits_per_byte, 1e-3 * expected.bits_per_byte);
  }
}

TEST_F(AdaptTest, WhatComesAgainIsLearned) {
  const auto file = text("a", 200);
  const auto before = evaluate(model(), file, {"cpu", "fp32", 0});
  for (const std::string dtype : {"fp32", "bf16"}) {
    EXPECT_LT(adapted(file, {.learning_rate = 1e-3, .dtype = dtype}).nats, 0.8 * before.nats) << dtype;
  }
}

TEST_F(AdaptTest, ABlockIsScoredBeforeItIsLearnedFrom) {
  // One block: it is scored before anything is learned, whatever the learning rate.
  const auto file = text("a", 1);
  const auto expected = evaluate(model(), file, {"cpu", "fp32", 0});
  ASSERT_LE(expected.tokens, 16u);
  EXPECT_NEAR(adapted(file, {.learning_rate = 1}).nats, expected.nats, 1e-4 * expected.nats);
  // Two blocks: with such a rate, the first block spoils the second.
  const auto longer = text("b", 2);
  const auto unspoilt = evaluate(model(), longer, {"cpu", "fp32", 0});
  ASSERT_GT(unspoilt.tokens, 16u);
  EXPECT_GT(adapted(longer, {.learning_rate = 1}).nats, 1.1 * unspoilt.nats);
}

TEST_F(AdaptTest, EachDocumentBeginsAnewWithWhatWasLearned) {
  const auto file = text("a", 60);
  Adapter adapter(model(), {});
  const auto first = adapter.read(file);
  adapter.save(folder / "out");
  // A block is scored before learning from it: the saved weights, and nothing of the document, are used.
  const auto line = text("line", 1);
  const auto expected = evaluate(folder / "out", line, {"cpu", "fp32", 0});
  ASSERT_LE(expected.tokens, 16u);
  EXPECT_NEAR(adapter.read(line).nats, expected.nats, 1e-4 * expected.nats);
  EXPECT_LT(adapter.read(file).nats, first.nats);
}

TEST_F(AdaptTest, WhatItLeavesIsAModelStoredAsItWas) {
  const auto file = text("a", 60);
  for (const std::string storage : {"fp32", "bf16", "int8"}) {
    make_model(storage, 0);
    EXPECT_EQ(storage_dtype(model()), storage);
    const auto before = evaluate(model(), file, {"cpu", "fp32", 0});
    Adapter adapter(model(), {});
    adapter.read(file);
    const auto out = folder / ("out-" + storage);
    adapter.save(out);
    EXPECT_EQ(storage_dtype(out), storage);
    EXPECT_EQ(fs::file_size(out / "model.safetensors"), fs::file_size(model() / "model.safetensors"));
    EXPECT_LT(evaluate(out, file, {"cpu", "fp32", 0}).nats, before.nats) << storage;
  }
}

TEST_F(AdaptTest, TooFastIsSaid) {
  Adapter adapter(model(), {.learning_rate = 1e30});
  EXPECT_THAT(error_of([&] { adapter.read(text("a", 60)); }), HasSubstr("lower --learning-rate"));
}

}  // namespace
}  // namespace unroll
