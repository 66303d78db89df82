// Compares pretrained transformers, read as streams, with the definition of the stream (make_golden.py),
// through the same interfaces as this project's own model.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/block_model.h"
#include "model/continuation.h"
#include "model/logits.h"
#include "model/safetensors.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int64_t kWidth = 8;
constexpr double kTolerance = 1e-4;

std::filesystem::path checkpoint(const std::string& name) {
  return std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/model/pretrained/golden" / name;
}

ModelOptions options(std::int64_t memories, std::int64_t sinks, const std::string& dtype = "fp32") {
  return {.device = "cpu",
          .dtype = dtype,
          .threads = 1,
          .settings = {{"block_width", kWidth}, {"memory_blocks", memories}, {"attention_sinks", sinks}}};
}

/// The document's tokens: those of the golden file after the first, which precedes a document.
std::vector<std::int32_t> golden_tokens(const std::string& name) {
  const auto tokens =
      read_safetensors(checkpoint(name) / "expected.safetensors").at("tokens")[0].to(at::kInt);
  const auto* data = tokens.const_data_ptr<std::int32_t>();
  return {data + 1, data + tokens.numel()};
}

struct Read {
  std::vector<float> logprobs, entropy;
  std::vector<std::int32_t> top_ids;
  std::vector<float> top_logprobs, hidden;
  ModelStatePtr state;
  std::size_t largest_state = 0;
};

/// Reads the whole document block by block. `restart`: each state is serialized and restored before the next
/// block.
Read read(BlockModel& model, std::span<const std::int32_t> tokens, Wants wants = {}, bool restart = false) {
  Read all;
  while (!tokens.empty()) {
    const BlockInput block{all.state, tokens.first(std::min<std::size_t>(kWidth, tokens.size())), wants};
    auto output = std::move(model.run({&block, 1}).front());
    const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    add(all.logprobs, output.logprobs);
    add(all.entropy, output.entropy);
    add(all.top_ids, output.top_ids);
    add(all.top_logprobs, output.top_logprobs);
    add(all.hidden, output.hidden);
    all.state = restart ? model.restore(output.next->serialize()) : output.next;
    all.largest_state = std::max(all.largest_state, all.state->bytes());
    tokens = tokens.subspan(block.tokens.size());
  }
  return all;
}

template <class Value>
bool same_bits(const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Value)) == 0;
}

class FamilyTest : public testing::TestWithParam<const char*> {};

TEST_P(FamilyTest, LogitsAreThoseOfTheDefinition) {
  const c10::InferenceMode guard;
  const TemporaryFolder folder;
  const auto golden = checkpoint(GetParam()) / "expected.safetensors";
  const auto expected = read_safetensors(golden);
  for (const std::int64_t memories : {1, 3}) {
    for (const std::int64_t sinks : {0, 4}) {
      const auto out = folder / "logits.safetensors";
      write_logits(checkpoint(GetParam()), golden, out, options(memories, sinks));
      const auto logits = read_safetensors(out).at("logits");
      const auto& wanted = expected.at("logits." + std::to_string(memories) + "." + std::to_string(sinks));
      ASSERT_EQ(logits.sizes(), wanted.sizes());
      EXPECT_LT((logits - wanted).abs().max().item<double>(), kTolerance)
          << memories << " memory blocks, " << sinks << " sinks";
    }
  }
}

TEST_P(FamilyTest, ScoresEntropiesAndTopTokensAreThoseOfTheLogits) {
  const c10::InferenceMode guard;
  const auto golden = read_safetensors(checkpoint(GetParam()) / "expected.safetensors");
  const auto all = at::log_softmax(golden.at("logits.3.4")[0], -1);
  const auto tokens = golden_tokens(GetParam());
  const auto model = load_block_model(checkpoint(GetParam()), options(3, 4));
  const auto got = read(*model, tokens, {.entropy = true, .hidden = true, .top_k = 2});
  ASSERT_EQ(got.logprobs.size(), tokens.size());
  ASSERT_EQ(got.hidden.size(), tokens.size() * static_cast<std::size_t>(model->info().dim));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto row = all[static_cast<std::int64_t>(i)];
    EXPECT_NEAR(got.logprobs[i], row[tokens[i]].item<float>(), kTolerance) << i;
    EXPECT_NEAR(got.entropy[i], -(row.exp() * row).sum().item<float>(), kTolerance) << i;
    EXPECT_NEAR(got.top_logprobs[2 * i], row.max().item<float>(), kTolerance) << i;
    EXPECT_NEAR(row[got.top_ids[2 * i + 1]].item<float>(), std::get<0>(row.sort(-1, true))[1].item<float>(),
                kTolerance)
        << i;
  }
}

TEST_P(FamilyTest, ContinuationSaysWhatBlocksAreScoredWith) {
  const auto tokens = golden_tokens(GetParam());
  auto with_cache = options(3, 4);
  with_cache.settings["document_cache_tokens"] = 32;
  for (const auto& each : {options(1, 4), with_cache}) {
    const auto scored = read(*load_block_model(checkpoint(GetParam()), each), tokens).logprobs;
    // One token at a time; then all pieces from two cuts, across block borders and not.
    Continuation one(checkpoint(GetParam()), each);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_NEAR(one.next()[static_cast<std::size_t>(tokens[i])], scored[i], kTolerance) << i;
      one.read({&tokens[i], 1});
    }
    Continuation pieces(checkpoint(GetParam()), each);
    std::size_t at = 0;
    for (const std::size_t cut : {3, 8, 15, 16, 40, 41}) {
      pieces.read(std::span(tokens).subspan(at, cut - at));
      at = cut;
      EXPECT_NEAR(pieces.next()[static_cast<std::size_t>(tokens[at])], scored[at], kTolerance) << at;
    }
  }
}

TEST_P(FamilyTest, GoesOnFromASavedStateToTheLastBit) {
  const auto tokens = golden_tokens(GetParam());
  for (const auto* dtype : {"fp32", "bf16"}) {
    for (const std::int64_t memories : {1, 3}) {
      const auto model = load_block_model(checkpoint(GetParam()), options(memories, 4, dtype));
      const Wants all{.entropy = true, .hidden = true, .top_k = 3};
      const auto whole = read(*model, tokens, all), again = read(*model, tokens, all, true);
      EXPECT_TRUE(same_bits(whole.logprobs, again.logprobs)) << dtype;
      EXPECT_TRUE(same_bits(whole.hidden, again.hidden)) << dtype;
      EXPECT_TRUE(same_bits(whole.entropy, again.entropy)) << dtype;
      EXPECT_TRUE(same_bits(whole.state->serialize(), again.state->serialize())) << dtype;
    }
  }
}

TEST_P(FamilyTest, ABatchChangesNoBit) {
  std::mt19937 random(5);
  const auto model = load_block_model(checkpoint(GetParam()), options(1, 4));
  std::vector<ModelStatePtr> states(5), alone(5);
  for (int block = 0; block < 4; ++block) {
    std::vector<std::vector<std::int32_t>> tokens(states.size());
    std::vector<BlockInput> inputs;
    for (std::size_t i = 0; i < states.size(); ++i) {
      tokens[i].resize(block == 3 ? 1 + i % 2 : kWidth);
      for (auto& token : tokens[i]) token = static_cast<std::int32_t>(random() % 40);
      inputs.push_back({states[i], tokens[i], {.entropy = true, .hidden = i % 2 == 0}});
    }
    const auto outputs = model->run(inputs);
    for (std::size_t i = 0; i < states.size(); ++i) {
      auto input = inputs[i];
      input.state = alone[i];
      const auto single = std::move(model->run({&input, 1}).front());
      EXPECT_TRUE(same_bits(single.logprobs, outputs[i].logprobs));
      EXPECT_TRUE(same_bits(single.hidden, outputs[i].hidden));
      EXPECT_TRUE(same_bits(single.entropy, outputs[i].entropy));
      EXPECT_TRUE(same_bits(single.next->serialize(), outputs[i].next->serialize()));
      states[i] = outputs[i].next;
      alone[i] = single.next;
    }
  }
}

TEST_P(FamilyTest, RoundsToTheTypeThatIsAskedFor) {
  const auto tokens = golden_tokens(GetParam());
  const auto exact = read(*load_block_model(checkpoint(GetParam()), options(1, 4)), tokens).logprobs;
  for (const auto& [dtype, tolerance] : {std::pair{"bf16", 0.1}, std::pair{"int8", 0.2}}) {
    std::unique_ptr<BlockModel> model;
    try {
      model = load_block_model(checkpoint(GetParam()), options(1, 4, dtype));
    } catch (const std::runtime_error&) {
      continue;  // not supported by this CPU
    }
    EXPECT_EQ(model->info().dtype, dtype);
    const auto rounded = read(*model, tokens).logprobs;
    EXPECT_FALSE(same_bits(rounded, exact)) << dtype;
    double difference = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) difference += std::abs(rounded[i] - exact[i]);
    EXPECT_LT(difference / static_cast<double>(exact.size()), tolerance) << dtype;
  }
}

INSTANTIATE_TEST_SUITE_P(Pretrained, FamilyTest,
                         testing::Values("llama", "llama3_biases", "mistral", "qwen2", "qwen3"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PretrainedStateTest, TakesTheMemoryThatIsDeclared) {
  for (const auto& [dtype, bytes] : {std::pair{"fp32", 4}, std::pair{"bf16", 2}}) {
    for (const std::int64_t memories : {1, 3}) {
      for (const std::int64_t sinks : {0, 4}) {
        const auto model = load_block_model(checkpoint("qwen2"), options(memories, sinks, dtype));
        const auto positions = sinks + memories * kWidth;
        const auto numbers = static_cast<std::size_t>(2 /*k, v*/ * 2 /*layers*/ * positions * 2 * 8);
        EXPECT_GE(model->info().state_bytes, numbers * bytes);
        EXPECT_LT(model->info().state_bytes, numbers * bytes + 512);
        EXPECT_EQ(read(*model, golden_tokens("qwen2")).largest_state, model->info().state_bytes);
      }
    }
  }
}

TEST(PretrainedStateTest, OfAnotherModelIsRefused) {
  const auto model = load_block_model(checkpoint("llama"), options(1, 4));
  const auto state = read(*model, golden_tokens("llama")).state->serialize();
  EXPECT_NO_THROW(model->restore(state));
  const auto refused = [&](const BlockModel& other) {
    EXPECT_NE(other.info().checkpoint, model->info().checkpoint);
    EXPECT_NE(error_of([&] { other.restore(state); }).find("of another model"), std::string::npos);
  };
  refused(*load_block_model(checkpoint("mistral"), options(1, 4)));
  refused(*load_block_model(checkpoint("llama"), options(3, 4)));
  refused(*load_block_model(checkpoint("llama"), options(1, 0)));
  refused(*load_block_model(checkpoint("llama"), options(1, 4, "bf16")));
}

TEST(PretrainedStateTest, DamageIsRefused) {
  const auto model = load_block_model(checkpoint("llama"), options(1, 4, "bf16"));
  const auto state = read(*model, golden_tokens("llama")).state->serialize();
  for (std::size_t size = 0; size < state.size(); size += 97)
    EXPECT_THROW(model->restore(std::span(state).first(size)), std::runtime_error) << size;
  for (std::size_t at = 0; at < state.size(); at += 89) {
    auto damaged = state;
    damaged[at] ^= std::byte{4};
    EXPECT_THROW(model->restore(damaged), std::runtime_error) << at;
  }
}

TEST(PretrainedStateTest, ATokenOutsideTheVocabularyIsRefused) {
  const auto model = load_block_model(checkpoint("llama"), options(1, 4));
  for (const std::int32_t token : {-1, 40}) {
    const BlockInput block{nullptr, {&token, 1}, {}};
    EXPECT_THROW(model->run({&block, 1}), std::invalid_argument);
    EXPECT_THROW(Continuation(checkpoint("llama"), options(1, 4)).read({&token, 1}), std::invalid_argument);
  }
}

/// The logarithm of the first token's probability, of llama's checkpoint with these changes to config.json.
float first_logprob(const nlohmann::json& changes, std::optional<std::int32_t> first_input) {
  const TemporaryFolder folder;
  auto config = nlohmann::json::parse(std::ifstream(checkpoint("llama") / "config.json"));
  config.merge_patch(changes);
  std::ofstream(folder / "config.json") << config;
  std::filesystem::copy_file(checkpoint("llama") / "model.safetensors", folder / "model.safetensors");
  auto with_input = options(1, 4);
  with_input.first_input = first_input;
  const std::int32_t token = 7;
  const BlockInput block{nullptr, {&token, 1}, {}};
  return load_block_model(folder.path(), with_input)->run({&block, 1}).front().logprobs.front();
}

TEST(PretrainedFirstInputTest, IsTheVocabularysElseTheBeginElseTheEndOfText) {
  const auto none = nlohmann::json::object();
  const nlohmann::json no_begin{{"bos_token_id", nullptr}},
      neither{{"bos_token_id", nullptr}, {"eos_token_id", nullptr}};
  const auto begin = first_logprob(none, std::nullopt), end = first_logprob(no_begin, std::nullopt);
  EXPECT_NE(begin, end);
  EXPECT_EQ(first_logprob(none, 1), begin);
  EXPECT_EQ(first_logprob(none, 2), end);
  EXPECT_EQ(first_logprob(neither, 2), end) << "a vocabulary may name what the configuration does not";
  EXPECT_NE(error_of([&] { first_logprob(neither, std::nullopt); }).find("bos_token_id"), std::string::npos);
}

}  // namespace
}  // namespace unroll
