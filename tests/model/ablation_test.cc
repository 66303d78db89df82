// The switches for ablations: what each removes or replaces, and that a state of each survives serialization.
#include <cmath>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int64_t kWidth = 8, kBlocks = 3;
constexpr double kTolerance = 1e-4;

class Ablation : public testing::Test {
 protected:
  Ablation() { at::manual_seed(11); }

  static at::Tensor random_tokens() { return at::randint(50, {2, kBlocks * kWidth}, at::kLong); }

  static at::Tensor logits(const ModelConfig& config, const TensorMap& parameters, const at::Tensor& tokens,
                           Recurrence& recurrence) {
    return BlockRecurrentTransformer(config, parameters).forward(tokens, recurrence);
  }

  /// The logits of the last block, and of the same block without anything before it.
  static std::pair<at::Tensor, at::Tensor> last_block_with_and_without_past(const ModelConfig& config) {
    const auto parameters = random_parameters(config);
    const auto tokens = random_tokens();
    Recurrence carried, fresh;
    const auto all = logits(config, parameters, tokens, carried);
    EXPECT_EQ(carried.memories.empty(), !config.use_memories);
    EXPECT_EQ(carried.states.size(), config.recurrent_layers.size());
    const auto begin = (kBlocks - 1) * kWidth;
    return {all.narrow(1, begin, kWidth), logits(config, parameters, tokens.narrow(1, begin, kWidth), fresh)};
  }

  const c10::InferenceMode guard;
};

TEST_F(Ablation, WithNeitherMemoriesNorStatesABlockKnowsNothingOfTheOneBefore) {
  const auto [carried, fresh] = last_block_with_and_without_past(
      three_layers({{"use_memories", false}, {"recurrent_layers", nlohmann::json::array()}}));
  EXPECT_TRUE(at::equal(carried, fresh));
}

TEST_F(Ablation, EitherAloneCarriesSomething) {
  for (const nlohmann::json& changes : {nlohmann::json{{"use_memories", false}},
                                        nlohmann::json{{"recurrent_layers", nlohmann::json::array()}}}) {
    const auto [carried, fresh] = last_block_with_and_without_past(three_layers(changes));
    EXPECT_GT((carried - fresh).abs().max().item<double>(), kTolerance) << changes;
  }
}

/// Copies the single head's keys and values to every head: rows of a projection, or groups of a convolution.
TensorMap spread_over_heads(const ModelConfig& config, const TensorMap& shared) {
  TensorMap parameters;
  const auto shapes = expected_parameters(config);
  for (const auto& [name, tensor] : shared) {
    const auto heads = shapes.at(name).front() / tensor.size(0);
    if (heads == 1) {
      parameters[name] = tensor;
      continue;
    }
    const auto halves = tensor.chunk(2);  // keys, values
    auto spread = at::zeros(shapes.at(name));
    const auto size = tensor.size(0) / 2;
    for (std::int64_t half = 0; half < 2; ++half) {
      for (std::int64_t head = 0; head < heads; ++head) {
        auto rows = spread.narrow(0, (half * heads + head) * size, size);
        if (tensor.dim() == 3) rows = rows.narrow(1, head * size, size);
        rows.copy_(halves[static_cast<std::size_t>(half)]);
      }
    }
    parameters[name] = spread;
  }
  return parameters;
}

TEST_F(Ablation, HeadsOfEqualKeysAndValuesAreOne) {
  for (const bool compressed : {false, true}) {
    const auto shared = three_layers({{"use_compressed_mem", compressed}, {"all_layers_qk_rmsnorm", true}});
    auto full = shared;
    full.multi_query = false;
    const auto parameters = random_parameters(shared);
    const auto tokens = random_tokens();
    Recurrence one, each;
    const auto expected = logits(shared, parameters, tokens, one);
    const auto actual = logits(full, spread_over_heads(full, parameters), tokens, each);
    EXPECT_LT((actual - expected).abs().max().item<double>(), kTolerance) << compressed;
    EXPECT_EQ(each.memories.front().size(3), full.heads * one.memories.front().size(3));
    EXPECT_TRUE(at::allclose(each.states.front(), one.states.front(), kTolerance, kTolerance));
  }
}

TEST_F(Ablation, HeadsOfTheirOwnKeysAndValuesDiffer) {
  const auto config = three_layers({{"multi_query", false}});
  auto parameters = random_parameters(config);
  const auto tokens = random_tokens();
  Recurrence before, after;
  const auto first = logits(config, parameters, tokens, before);
  // The values of the second head only, which the first does not see.
  parameters["layers.0.0.to_kv.weight"] = parameters["layers.0.0.to_kv.weight"].clone();
  parameters["layers.0.0.to_kv.weight"].slice(0, -config.dim_head).zero_();
  const auto second = logits(config, parameters, tokens, after);
  EXPECT_GT((first - second).abs().max().item<double>(), kTolerance);
  const auto& memory = after.memories.front();  // k and v of layer 1
  EXPECT_TRUE(at::equal(memory[1].slice(2, 0, config.dim_head),
                        before.memories.front()[1].slice(2, 0, config.dim_head)));
  EXPECT_EQ(memory[1].slice(2, config.dim_head).abs().max().item<double>(), 0);
}

/// The gate adds sigmoid(beta) of a branch and keeps the rest of the input. With a half for attention and a
/// third for the feed-forward layer, a layer's output is a third of that with sums, because its norms ignore
/// scale.
TEST_F(Ablation, AGateWeighsABranchAgainstWhatItBranchesFrom) {
  const auto sums = three_layers({{"depth", 1}, {"recurrent_layers", {1}}});
  auto gated = sums;
  gated.gate_residuals = true;
  auto parameters = random_parameters(sums);
  const auto tokens = random_tokens().narrow(1, 0, kWidth);
  Recurrence before, after;
  const auto expected = BlockRecurrentTransformer(sums, parameters).forward_block(tokens, before);
  parameters["layers.0.0.residual_gate"] = at::zeros({sums.dim});
  parameters["layers.0.1.residual_gate"] = at::full({sums.dim}, -std::log(2.0));
  const auto actual = BlockRecurrentTransformer(gated, parameters).forward_block(tokens, after);
  EXPECT_LT((actual * 3 - expected).abs().max().item<double>(), kTolerance);
}

TEST_F(Ablation, AStateOfEachGoesThroughBytes) {
  const nlohmann::json none = nlohmann::json::array();
  for (const nlohmann::json& changes : {nlohmann::json{{"use_memories", false}},
                                        nlohmann::json{{"use_memories", false}, {"recurrent_layers", none}},
                                        nlohmann::json{{"multi_query", false}},
                                        nlohmann::json{{"multi_query", false}, {"use_compressed_mem", true}},
                                        nlohmann::json{{"gate_residuals", true}}}) {
    SCOPED_TRACE(changes.dump());
    const TemporaryFolder folder;
    const auto config = three_layers(changes);
    save_checkpoint(folder.path(), config, random_parameters(config), "fp32");
    const auto model = load_block_model(folder.path(), {"cpu", "fp32", 1});
    const std::vector<std::int32_t> tokens{3, 1, 4, 1, 5, 9, 2, 6};
    const auto run = [&](const ModelStatePtr& state) {
      const BlockInput block{state, tokens, {}};
      return std::move(model->run({&block, 1}).front());
    };
    const auto first = run(nullptr);
    EXPECT_LE(first.next->bytes(), model->info().state_bytes);
    EXPECT_EQ(run(first.next).logprobs, run(model->restore(first.next->serialize())).logprobs);
  }
}

}  // namespace
}  // namespace unroll
