// The extensions of docs/model.md: each does what its paper says; and for all of them, a block in pieces, a
// row of a batch, and a serialized state give the same results as the whole.
#include <cmath>
#include <set>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/checkpoint.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int64_t kWidth = 8, kBlocks = 7;
constexpr double kTolerance = 1e-4;

const std::set<std::string> kReferenceHas{"recurrent_layers", "use_compressed_mem", "compressed_mem_factor"};

at::Tensor random_tokens(std::int64_t batch, std::int64_t length) {
  return at::randint(50, {batch, length}, at::kLong);
}

BlockRecurrentTransformer random_model(const ModelConfig& config) {
  return {config, random_parameters(config)};
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

class Extension : public testing::TestWithParam<nlohmann::json> {
 protected:
  Extension() { at::manual_seed(5); }
  const ModelConfig config = three_layers(GetParam());
};

TEST_P(Extension, IsOffInWhatTheReferenceReads) {
  const auto plain = to_json(three_layers());
  for (const auto& [key, value] : GetParam().items())
    EXPECT_EQ(plain.contains(key), kReferenceHas.contains(key)) << key;
  EXPECT_EQ(parse_model_config(to_json(config)), config);
}

TEST_P(Extension, SaysNothingOfATokenByThoseBehindIt) {
  const c10::InferenceMode guard;
  const auto model = random_model(config);
  const auto tokens = random_tokens(1, kBlocks * kWidth);
  auto changed = tokens.clone();
  constexpr std::int64_t kPlace = (kBlocks - 1) * kWidth + 3;
  changed.narrow(1, kPlace, kBlocks * kWidth - kPlace).add_(1).remainder_(50);
  Recurrence one, other;
  const auto before = model.forward(tokens, one), after = model.forward(changed, other);
  EXPECT_LT(difference(before.narrow(1, 0, kPlace), after.narrow(1, 0, kPlace)), 1e-6);
  EXPECT_GT(difference(before.narrow(1, kPlace, 1), after.narrow(1, kPlace, 1)), kTolerance);
}

TEST_P(Extension, ABlockInPiecesIsTheBlock) {
  const c10::InferenceMode guard;
  const auto model = random_model(config);
  Recurrence whole, pieces;
  for (std::int64_t block = 0; block < kBlocks; ++block) {
    const auto tokens = random_tokens(1, kWidth);
    const auto expected = model.forward_block(tokens, whole);
    auto open = model.open_block(pieces, 1);
    for (std::int64_t at = 0, length = 1; at < kWidth;
         at += length, length = std::min(length + 1, kWidth - at))
      EXPECT_LT(
          difference(model.extend_block(tokens.narrow(1, at, length), open), expected.narrow(1, at, length)),
          kTolerance);
    pieces = model.close_block(open, pieces);
  }
  ASSERT_EQ(pieces.routed.size(), whole.routed.size());
  ASSERT_EQ(pieces.memories.size(), whole.memories.size());
  for (std::size_t i = 0; i < whole.memories.size(); ++i)
    EXPECT_LT(difference(pieces.memories[i], whole.memories[i]), kTolerance);
  for (std::size_t i = 0; i < whole.states.size(); ++i)
    EXPECT_LT(difference(pieces.states[i], whole.states[i]), kTolerance);
}

/// In training, rows of a batch begin documents at different times: nothing of a lane's last document may
/// remain.
TEST_P(Extension, ARowThatBeginsADocumentKnowsNothingOfTheLast) {
  const auto model = random_model(config);
  const auto tokens = random_tokens(2, kBlocks * kWidth);
  constexpr std::int64_t kBegin = 3;  // the block with which the second row's next document begins
  Recurrence both, alone;
  std::vector<at::Tensor> actual, expected;
  for (std::int64_t block = 0; block < kBlocks; ++block) {
    const auto now = tokens.narrow(1, block * kWidth, kWidth);
    if (block == kBegin) {
      const auto begins = at::tensor({0, 1}).to(at::kBool);
      both.forget(begins, model.initial_states(2));
    }
    actual.push_back(model.forward_block(now, both));
    if (block >= kBegin) expected.push_back(model.forward_block(now.narrow(0, 1, 1), alone));
  }
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_LT(difference(actual[i + kBegin].narrow(0, 1, 1), expected[i]), kTolerance) << "block " << i;
}

TEST_P(Extension, AStateGoesThroughBytesAndKeepsToItsSize) {
  const c10::InferenceMode guard;
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), config, random_parameters(config), "fp32");
  const auto model = load_block_model(folder.path(), {"cpu", "fp32", 1});
  ModelStatePtr state;
  for (std::int64_t block = 0; block < 2 * kBlocks; ++block) {
    const auto ids = random_tokens(1, kWidth).to(at::kInt);
    const std::span tokens(ids.const_data_ptr<std::int32_t>(), kWidth);
    const auto run = [&](const ModelStatePtr& before) {
      const BlockInput input{before, tokens, {}};
      return std::move(model->run({&input, 1}).front());
    };
    const auto output = run(state);
    if (state) {
      EXPECT_EQ(output.logprobs, run(model->restore(state->serialize())).logprobs) << block;
    }
    EXPECT_LE(output.next->bytes(), model->info().state_bytes) << block;
    state = output.next;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, Extension,
    testing::Values(
        nlohmann::json{{"state_gate", "lstm"}}, nlohmann::json{{"state_cell", "single"}},
        nlohmann::json{{"state_cell", "dual"}, {"state_gate", "lstm"}},
        nlohmann::json{{"state_gate", "memformer"}}, nlohmann::json{{"dynamic_position_bias", true}},
        nlohmann::json{{"enhanced_recurrence", true}}, nlohmann::json{{"memory_blocks", 3}},
        nlohmann::json{{"memory_blocks", 2}, {"dynamic_position_bias", true}, {"enhanced_recurrence", true}},
        nlohmann::json{{"use_compressed_mem", true},
                       {"compressed_mem_factor", 2},
                       {"compressed_mem_method", "mean"},
                       {"compressed_mem_generations", 3}},
        nlohmann::json{{"use_compressed_mem", true},
                       {"compressed_mem_factor", 2},
                       {"compressed_mem_method", "max"},
                       {"memory_blocks", 2}},
        nlohmann::json{
            {"use_compressed_mem", true}, {"compressed_mem_factor", 2}, {"compressed_mem_generations", 2}},
        nlohmann::json{{"routed_memory_layer", 2},
                       {"routed_memory_segment", 2},
                       {"routed_memory_top", 3},
                       {"routed_memory_tokens", 40}},
        nlohmann::json{{"routed_memory_layer", 3},
                       {"routed_memory_segment", 4},
                       {"routed_memory_dtype", "int8"},
                       {"recurrent_layers", nlohmann::json::array()},
                       {"use_memories", false},
                       {"multi_query", false}}),
    option_name);

class StateGates : public testing::Test {};

at::Tensor row(std::vector<float> values) {
  return at::tensor(values).unsqueeze(0);
}

/// Equations 6 to 9 with numbers: z = tanh(h + 0.5), i = sigmoid(2h - 1), f = sigmoid(3h + 1).
TEST_F(StateGates, TheLstmGateIsThePapers) {
  const StateGate gate{at::tensor({1.0f, 2.0f, 3.0f}).unsqueeze(1), at::tensor({0.5f, 0.0f, 0.0f}), {}};
  const double before = 0.7, h = -0.3;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto expected = before * sigmoid(3 * h + 1) + std::tanh(h + 0.5) * sigmoid(2 * h - 1);
  EXPECT_NEAR(gate(row({0.7f}), row({-0.3f})).item<double>(), expected, 1e-6);
}

TEST_F(StateGates, MemformersSlotsDoNotSeeOneAnotherAndHaveUnitLength) {
  at::manual_seed(3);
  const auto config = three_layers({{"state_gate", "memformer"}});
  const auto model = random_model(config);
  const auto& cell = *model.layers()[1].state_container;
  const auto k = at::randn({1, kWidth, config.dim_head}), v = at::randn({1, kWidth, config.dim_head});
  const auto states = model.initial_states(1).front();
  EXPECT_TRUE(at::allclose(states.norm(2, -1), at::ones({1, 6})));
  auto changed = states.clone();
  changed.select(1, 2).neg_();
  const auto next = cell.write(cell.prepare(states), k, v), other = cell.write(cell.prepare(changed), k, v);
  EXPECT_TRUE(at::allclose(next.norm(2, -1), at::ones({1, 6}), 1e-5, 1e-5));
  const auto moved = (next - other).abs().amax(-1).flatten();
  for (std::int64_t slot = 0; slot < 6; ++slot)
    EXPECT_EQ(moved[slot].item<double>() > kTolerance, slot == 2) << slot;
}

TEST(PositionBiasTest, DependsOnTheDistanceAlone) {
  at::manual_seed(3);
  const PositionBias bias{at::randn({4, 1}), at::randn({4}),    at::randn({4, 4}),
                          at::randn({4}),    at::randn({2, 4}), at::randn({2})};
  const auto far = bias(8, 100), near = bias(8, 0);
  EXPECT_EQ(far.sizes(), (std::vector<std::int64_t>{2, 8, 108}));
  for (std::int64_t query = 0; query < 8; ++query) {
    for (std::int64_t key = 0; key <= query; ++key)
      EXPECT_TRUE(at::allclose(near.select(1, query).select(1, key),
                               far.select(1, query).select(1, 100 + key), 1e-5, 1e-5));
  }
  EXPECT_TRUE(at::allclose(far.select(1, 7).select(1, 50), far.select(1, 4).select(1, 47), 1e-5, 1e-5));
}

/// A longer memory than in training changes nothing for a document that does not fill it.
TEST(PositionBiasTest, ALongerMemoryIsTheShorterOneUntilItHoldsMore) {
  at::manual_seed(3);
  const auto short_config = three_layers({{"dynamic_position_bias", true}});
  auto long_config = short_config;
  long_config.memory_blocks = 4;
  const auto parameters = random_parameters(short_config);
  const auto tokens = random_tokens(1, 3 * kWidth);
  Recurrence one, other;
  const auto expected = BlockRecurrentTransformer(short_config, parameters).forward(tokens, one);
  const auto actual = BlockRecurrentTransformer(long_config, parameters).forward(tokens, other);
  EXPECT_LT(difference(actual.narrow(1, 0, 2 * kWidth), expected.narrow(1, 0, 2 * kWidth)), 1e-6);
  EXPECT_GT(difference(actual.narrow(1, 2 * kWidth, kWidth), expected.narrow(1, 2 * kWidth, kWidth)),
            kTolerance);
}

TEST(EnhancedRecurrence, ALayerReadsTheMemoryOfTheOneAbove) {
  at::manual_seed(3);
  const auto config = three_layers({{"enhanced_recurrence", true}});
  const auto plain = three_layers();
  const auto parameters = random_parameters(config);
  Recurrence recurrence;
  const BlockRecurrentTransformer model(config, parameters);
  model.forward_block(random_tokens(1, kWidth), recurrence);
  auto shifted = recurrence;
  shifted.memories = {recurrence.memories[1], recurrence.memories[2], recurrence.memories[2]};
  const auto tokens = random_tokens(1, kWidth);
  const auto expected = BlockRecurrentTransformer(plain, parameters).forward_block(tokens, shifted);
  EXPECT_TRUE(at::equal(model.forward_block(tokens, recurrence), expected));
  EXPECT_TRUE(at::equal(recurrence.memories[0], shifted.memories[0]));  // each layer leaves its own
}

/// Positions are means of the positions that they replace, as far back as each generation reaches.
TEST(CompressedMemories, GenerationsAreMeansOfMeans) {
  const auto config = three_layers({{"use_compressed_mem", true},
                                    {"compressed_mem_factor", 2},
                                    {"compressed_mem_method", "mean"},
                                    {"compressed_mem_generations", 2}});
  at::Tensor memory;
  for (std::int64_t block = 0; block < 5; ++block) {
    const auto positions = at::arange(block * kWidth, (block + 1) * kWidth).to(at::kFloat);
    memory = next_memory(config, {}, memory, positions.view({1, 1, kWidth, 1}).expand({2, 1, kWidth, 1}));
  }
  // Of blocks 0 to 7, the memory holds 4 unchanged, 3 as four means of two, 2 as two means of four, and 1
  // before it.
  const std::vector<float> expected{9.5, 13.5, 17.5, 21.5, 24.5, 26.5, 28.5, 30.5,
                                    32,  33,   34,   35,   36,   37,   38,   39};
  EXPECT_TRUE(at::equal(memory[0].flatten(), at::tensor(expected)));
  EXPECT_EQ(memory.size(2), memory_length(config));
}

TEST(CompressedMemories, TheLossIsNothingWhereCompressionLosesNothing) {
  at::manual_seed(3);
  auto config = three_layers(
      {{"use_compressed_mem", true}, {"compressed_mem_factor", 2}, {"compressed_mem_method", "mean"}});
  const auto model = random_model(config);
  const auto& attention = model.layers().front().attn;
  const auto q = at::randn({1, config.heads, kWidth, config.dim_head});
  const auto pairs = at::randn({2, 1, kWidth / 2, config.dim_head}).repeat_interleave(2, 2);
  EXPECT_LT(compression_loss(config, {}, attention, q, pairs).item<double>(), 1e-10);
  const auto all_different = at::randn({2, 1, kWidth, config.dim_head});
  EXPECT_GT(compression_loss(config, {}, attention, q, all_different).item<double>(), 1e-3);
  EXPECT_FALSE(compression_loss(config, {}, attention, q, {}).defined());
}

TEST(CompressedMemories, TheLossReachesTheConvolutionAlone) {
  at::manual_seed(3);
  const auto config = three_layers({{"use_compressed_mem", true}, {"compressed_mem_factor", 2}});
  auto parameters = random_parameters(config);
  for (auto& [name, tensor] : parameters) tensor.set_requires_grad(true);
  const BlockRecurrentTransformer model(config, parameters);
  Recurrence recurrence;
  at::Tensor loss;
  for (int block = 0; block < 3; ++block) model.forward_block(random_tokens(1, kWidth), recurrence, &loss);
  loss.backward();
  for (const auto& [name, tensor] : parameters) {
    const bool reached = tensor.grad().defined() && tensor.grad().abs().max().item<double>() > 0;
    EXPECT_EQ(reached, name.starts_with("mem_manager.")) << name;
  }
}

}  // namespace
}  // namespace unroll
