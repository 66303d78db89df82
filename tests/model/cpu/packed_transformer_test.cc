// The packed network against the definition: every option, sizes that fill no tile, several documents, each
// arithmetic.
#include "model/cpu/packed_transformer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "model/block_recurrent_transformer.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

using Json = nlohmann::json;

struct Case {
  const char* name;
  Json changes;
};

class PackedTransformerTest : public testing::TestWithParam<Case> {
 protected:
  static BlockRecurrentTransformer definition(const Json& changes) {
    at::manual_seed(3);
    const auto config = three_layers(changes);
    return {config, random_parameters(config)};
  }
  /// Three whole blocks and a part of one, two documents: the largest difference in logits, memories and
  /// states, each in units of what the definition's vary by.
  static double difference(const Json& changes, Arithmetic arithmetic) {
    const c10::InferenceMode guard;
    const auto expected = definition(changes);
    PackedTransformer packed(expected, arithmetic);
    const auto width = expected.config().block_width;
    const auto tokens =
        at::randint(0, expected.config().num_tokens, {2, 3 * width + width / 2 + 1}, at::kLong);
    Recurrence a, b;
    double worst = 0;
    const auto compare = [&](const at::Tensor& x, const at::Tensor& y) {
      EXPECT_EQ(x.sizes(), y.sizes());
      worst = std::max(worst, (x - y).pow(2).mean().sqrt().item<double>() / x.std().item<double>());
    };
    for (const auto& block : tokens.split(width, 1)) {
      const auto hidden = expected.forward_block(block, a), other = packed.forward_block(block, b);
      compare(expected.to_logits(hidden), packed.logits(other.flatten(0, 1)).view({2, block.size(1), -1}));
      EXPECT_EQ(a.memories.size(), b.memories.size());
      for (std::size_t i = 0; i < a.memories.size(); ++i) compare(a.memories[i], b.memories[i]);
      EXPECT_EQ(a.states.size(), b.states.size());
      for (std::size_t i = 0; i < a.states.size(); ++i) compare(a.states[i], b.states[i]);
    }
    return worst;
  }
};

TEST_P(PackedTransformerTest, ComputesWhatTheDefinitionDoes) {
  EXPECT_LT(difference(GetParam().changes, Arithmetic::kFp32), 1e-5);
}

TEST_P(PackedTransformerTest, Bf16) {
  if (!cpu_supports(Arithmetic::kBf16)) GTEST_SKIP() << "this CPU does not multiply bf16";
  EXPECT_LT(difference(GetParam().changes, Arithmetic::kBf16), 2e-2);
}

TEST_P(PackedTransformerTest, Int8) {
  if (!cpu_supports(Arithmetic::kInt8)) GTEST_SKIP() << "this CPU has no VNNI";
  EXPECT_LT(difference(GetParam().changes, Arithmetic::kInt8), 5e-2);
}

INSTANTIATE_TEST_SUITE_P(
    Options, PackedTransformerTest,
    testing::Values(
        Case{"defaults", Json::object()}, Case{"rmsnorm", {{"all_layers_qk_rmsnorm", true}}},
        Case{"rmsnorm_scale", {{"all_layers_qk_rmsnorm", true}, {"apply_qk_rmsnorm_scale", true}}},
        Case{"full_heads", {{"multi_query", false}}}, Case{"gates", {{"gate_residuals", true}}},
        Case{"no_memories", {{"use_memories", false}}},
        Case{"no_states", {{"recurrent_layers", Json::array()}}},
        Case{"two_states", {{"recurrent_layers", {1, 3}}, {"read_recurrent_layers", {1, 2}}}},
        Case{"compressed", {{"use_compressed_mem", true}, {"compressed_mem_factor", 2}}},
        Case{"compressed_in_generations",
             {{"use_compressed_mem", true},
              {"compressed_mem_factor", 2},
              {"compressed_mem_method", "mean"},
              {"compressed_mem_generations", 2}}},
        Case{"enhanced_recurrence", {{"enhanced_recurrence", true}, {"memory_blocks", 2}}},
        Case{"position_bias", {{"dynamic_position_bias", true}}},
        Case{"position_bias_of_long_memories",
             {{"dynamic_position_bias", true},
              {"memory_blocks", 2},
              {"block_width", 150},
              {"max_seq_len", 300},
              {"all_layers_qk_rmsnorm", true},
              {"multi_query", false}}},
        Case{"routed_memory", {{"routed_memory_layer", 2}, {"routed_memory_segment", 2}}},
        Case{"routed_memory_of_int8",
             {{"routed_memory_layer", 1},
              {"routed_memory_segment", 4},
              {"routed_memory_top", 1},
              {"routed_memory_dtype", "int8"},
              {"multi_query", false},
              {"all_layers_qk_rmsnorm", true}}},
        Case{"wide_blocks", {{"block_width", 150}, {"max_seq_len", 300}, {"num_state_vectors", 70}}},
        Case{"wide_network",
             {{"dim", 130}, {"dim_head", 80}, {"heads", 3}, {"num_tokens", 1111}, {"ff_mult", 5}}}),
    [](const auto& info) { return info.param.name; });

TEST(PackedTransformer, AnyNumberOfThreadsGivesTheSameBits) {
  const c10::InferenceMode guard;
  at::manual_seed(3);
  const auto config =
      three_layers({{"dim", 128}, {"block_width", 256}, {"max_seq_len", 512}, {"num_tokens", 5000}});
  const BlockRecurrentTransformer definition(config, random_parameters(config));
  const auto tokens = at::randint(0, config.num_tokens, {1, 256}, at::kLong);
  const std::vector<std::int32_t> targets(256, 77);
  const auto threads = at::get_num_threads();
  std::vector<std::vector<float>> logprobs;
  for (const int count : {1, 2, 3}) {
    at::set_num_threads(count);
    PackedTransformer packed(definition, Arithmetic::kFp32);
    Recurrence recurrence;
    packed.forward_block(tokens, recurrence);
    packed.score(packed.forward_block(tokens, recurrence),
                 {Scored{targets, &logprobs.emplace_back(), nullptr}})();
  }
  at::set_num_threads(threads);
  EXPECT_EQ(logprobs[0], logprobs[1]);
  EXPECT_EQ(logprobs[0], logprobs[2]);
}

/// What pads the last tile of a smaller block is what a larger one left there.
TEST(PackedTransformer, AnInfinityInOneDocumentStaysThere) {
  const c10::InferenceMode guard;
  at::manual_seed(3);
  const auto config = three_layers();
  const BlockRecurrentTransformer definition(config, random_parameters(config));
  const auto tokens = at::randint(0, config.num_tokens, {1, 5}, at::kLong);
  PackedTransformer packed(definition, Arithmetic::kFp32);
  Recurrence clean;
  const auto expected = packed.forward_block(tokens, clean).clone();
  Recurrence poisoned;
  packed.forward_block(at::zeros({1, config.block_width}, at::kLong), poisoned);
  poisoned.memories.front().fill_(std::numeric_limits<float>::infinity());
  packed.forward_block(at::zeros({1, config.block_width}, at::kLong), poisoned);
  Recurrence again;
  EXPECT_TRUE(packed.forward_block(tokens, again).equal(expected));
}

}  // namespace
}  // namespace unroll
