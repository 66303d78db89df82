// Compares the model with the reference's results, which make_golden.py wrote to golden/.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "model/logits.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr double kTolerance = 1e-4;
constexpr double kGradientTolerance = 1e-3;  // relative, of each parameter
constexpr std::int64_t kFullBlocks = 8;

std::vector<std::string> golden_cases() {
  std::vector<std::string> names;
  for (const auto& each : std::filesystem::directory_iterator(golden_folder()))
    names.push_back(each.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void expect_near(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  EXPECT_LE((actual - expected).abs().max().item<double>(), kTolerance) << what;
}

std::size_t count(const TensorMap& tensors, const std::string& prefix) {
  return static_cast<std::size_t>(
      std::ranges::count_if(tensors, [&](const auto& each) { return each.first.starts_with(prefix); }));
}

void expect_all_near(const std::vector<at::Tensor>& actual, const TensorMap& expected,
                     const std::string& prefix) {
  ASSERT_EQ(actual.size(), count(expected, prefix)) << prefix;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const auto name = prefix + std::to_string(i);
    expect_near(actual[i], expected.at(name), name);
  }
}

class Parity : public testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path folder = golden_folder() / GetParam();
  TensorMap expected = read_safetensors(folder / "expected.safetensors");
  ModelConfig config = load_model_config(folder / "config.json");
  TensorMap parameters = load_parameters(folder, config);
};

TEST_P(Parity, LogitsMemoriesAndStates) {
  const c10::InferenceMode guard;
  const BlockRecurrentTransformer model(config, parameters);
  const auto& tokens = expected.at("tokens");
  const auto full = kFullBlocks * config.block_width;
  ASSERT_GT(tokens.size(1), full);
  Recurrence recurrence;
  for (std::int64_t begin = 0; begin < tokens.size(1); begin += config.block_width) {
    const auto length = std::min(config.block_width, tokens.size(1) - begin);
    const auto logits = model.to_logits(model.forward_block(tokens.narrow(1, begin, length), recurrence));
    expect_near(logits, expected.at("logits").narrow(1, begin, length),
                "logits from " + std::to_string(begin));
    if (begin + length == full) expect_all_near(recurrence.states, expected, "states.");
  }
  expect_all_near(recurrence.states, expected, "partial.states.");
  expect_all_near(recurrence.memories, expected, "memories.");
}

TEST_P(Parity, SeveralBlocksInOneCall) {
  const c10::InferenceMode guard;
  const BlockRecurrentTransformer model(config, parameters);
  Recurrence recurrence;
  expect_near(model.forward(expected.at("tokens"), recurrence), expected.at("logits"), "logits");
  expect_all_near(recurrence.states, expected, "partial.states.");
}

TEST_P(Parity, TheSameBitsEachTime) {
  const c10::InferenceMode guard;
  const BlockRecurrentTransformer model(config, parameters);
  Recurrence first, second;
  EXPECT_TRUE(
      at::equal(model.forward(expected.at("tokens"), first), model.forward(expected.at("tokens"), second)));
  for (std::size_t i = 0; i < first.states.size(); ++i)
    EXPECT_TRUE(at::equal(first.states[i], second.states[i]));
  for (std::size_t i = 0; i < first.memories.size(); ++i)
    EXPECT_TRUE(at::equal(first.memories[i], second.memories[i]));
}

TEST_P(Parity, GradientsThroughThreeBlocks) {
  for (auto& [name, tensor] : parameters) {
    if (BlockRecurrentTransformer::is_trainable(name)) tensor.set_requires_grad(true);
  }
  const BlockRecurrentTransformer model(config, parameters);
  const auto& tokens = expected.at("loss.tokens");
  const auto length = tokens.size(1) - 1;
  Recurrence recurrence;
  const auto logits = model.forward(tokens.narrow(1, 0, length), recurrence);
  const auto loss = at::cross_entropy_loss(logits.flatten(0, 1), tokens.narrow(1, 1, length).flatten(), {},
                                           at::Reduction::Mean, config.ignore_index);
  EXPECT_NEAR(loss.item<double>(), expected.at("loss").item<double>(), kTolerance);
  loss.backward();

  std::size_t gradients = 0;
  for (const auto& [name, tensor] : parameters) {
    const auto reference = expected.find("grad." + name);
    const auto& gradient = tensor.grad();
    if (reference == expected.end()) {
      EXPECT_TRUE(!gradient.defined() || gradient.abs().max().item<double>() == 0) << name;
      continue;
    }
    ++gradients;
    ASSERT_TRUE(gradient.defined()) << name;
    const auto difference = (gradient - reference->second).norm().item<double>();
    EXPECT_LE(difference, kGradientTolerance * reference->second.norm().item<double>()) << name;
  }
  EXPECT_EQ(gradients, count(expected, "grad."));
  EXPECT_GE(gradients, 17u);
}

TEST_P(Parity, WriteLogits) {
  const TemporaryFolder out;
  write_safetensors(out / "tokens", {{"tokens", expected.at("tokens")}});
  write_logits(folder, out / "tokens", out / "logits", {"cpu", "fp32"});
  const auto written = read_safetensors(out / "logits");
  expect_near(written.at("logits"), expected.at("logits"), "logits");
  ASSERT_EQ(written.size(), 1 + count(expected, "memories.") + count(expected, "states."));
  for (const auto& [name, tensor] : expected) {
    if (name.starts_with("memories.") || name.starts_with("states.")) {
      ASSERT_TRUE(written.contains(name)) << name;
      expect_near(written.at(name), tensor, name);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Parity, testing::ValuesIn(golden_cases()),
                         [](const auto& info) { return info.param; });

TEST(WriteLogits, TokensThatCannotBeRun) {
  const TemporaryFolder folder;
  const auto file = folder / "tokens", out = folder / "out";
  const auto error_for = [&](const TensorMap& tensors) {
    write_safetensors(file, tensors);
    const auto error = error_of([&] { write_logits(golden_folder() / "defaults", file, out, {}); });
    EXPECT_THAT(error, testing::HasSubstr(file.string()));
    EXPECT_FALSE(std::filesystem::exists(out));
    return error;
  };
  const auto tokens = at::zeros({1, 9}, at::kLong);
  EXPECT_THAT(error_for({{"ids", tokens}}), testing::HasSubstr("no tensor named tokens"));
  EXPECT_THAT(error_for({{"tokens", tokens.to(at::kInt)}}),
              testing::HasSubstr("tokens is Int of 2 dimensions"));
  EXPECT_THAT(error_for({{"tokens", tokens[0]}}), testing::HasSubstr("Long of 1 dimensions"));
  EXPECT_THAT(error_for({{"tokens", at::zeros({1, 0}, at::kLong)}}), testing::HasSubstr("empty"));
  EXPECT_THAT(error_for({{"tokens", tokens + 40}}), testing::HasSubstr("token 40 at [0, 0] is not in"));
  EXPECT_THAT(error_for({{"tokens", tokens - 1}}), testing::HasSubstr("token -1"));
}

TEST(WriteLogits, FewerTokensThanABlock) {
  const TemporaryFolder folder;
  write_safetensors(folder / "tokens", {{"tokens", at::zeros({2, 3}, at::kLong)}});
  write_logits(golden_folder() / "defaults", folder / "tokens", folder / "out", {});
  const auto written = read_safetensors(folder / "out");
  EXPECT_EQ(written.size(), 1u);
  EXPECT_EQ(written.at("logits").sizes(), at::IntArrayRef({2, 3, 40}));
}

}  // namespace
}  // namespace unroll
