// Compares the packed network with the definition: every option, sizes that do not fill tiles, several
// documents, each arithmetic.
#include "model/cpu/packed_transformer.h"

#include <limits>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/model/fast_form.h"

namespace unroll {
namespace {

using Json = nlohmann::json;

class PackedTransformerTest : public testing::TestWithParam<FormCase> {
 protected:
  /// Two documents of three blocks and a part of one.
  static double difference(const Json& changes, Arithmetic arithmetic) {
    const c10::InferenceMode guard;
    const auto definition = random_network(changes);
    PackedTransformer packed(definition, arithmetic);
    return largest_difference(definition, packed, 2, 3);
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

TEST_P(PackedTransformerTest, ABlockInPiecesHasTheSameBits) {
  const c10::InferenceMode guard;
  const auto definition = random_network(GetParam().changes);
  for (const auto arithmetic : {Arithmetic::kFp32, Arithmetic::kBf16, Arithmetic::kInt8}) {
    PackedTransformer packed(definition, cpu_supports(arithmetic) ? arithmetic : Arithmetic::kFp32);
    if (definition.config().routed_memory_layer > 0) {
      EXPECT_FALSE(packed.continues_blocks());
    } else {
      expect_same_in_pieces(packed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Options, PackedTransformerTest,
    testing::ValuesIn(
        form_cases({{"position_bias", {{"dynamic_position_bias", true}}},
                    {"position_bias_of_long_memories",
                     {{"dynamic_position_bias", true},
                      {"memory_blocks", 2},
                      {"block_width", 150},
                      {"max_seq_len", 300},
                      {"all_layers_qk_rmsnorm", true},
                      {"multi_query", false}}},
                    {"routed_memory", {{"routed_memory_layer", 2}, {"routed_memory_segment", 2}}},
                    {"routed_memory_of_int8",
                     {{"routed_memory_layer", 1},
                      {"routed_memory_segment", 4},
                      {"routed_memory_top", 1},
                      {"routed_memory_dtype", "int8"},
                      {"multi_query", false},
                      {"all_layers_qk_rmsnorm", true}}},
                    {"lstm_gate", {{"state_gate", "lstm"}}},
                    {"wide_lstm_gate", {{"state_gate", "lstm"}, {"dim", 130}, {"num_state_vectors", 70}}},
                    {"wide_blocks", {{"block_width", 150}, {"max_seq_len", 300}, {"num_state_vectors", 70}}},
                    {"wide_network",
                     {{"dim", 130}, {"dim_head", 80}, {"heads", 3}, {"num_tokens", 1111}, {"ff_mult", 5}}}})),
    [](const auto& info) { return info.param.name; });

TEST(PackedTransformer, AnyNumberOfThreadsGivesTheSameBits) {
  const c10::InferenceMode guard;
  const auto definition =
      random_network({{"dim", 128}, {"block_width", 256}, {"max_seq_len", 512}, {"num_tokens", 5000}});
  const auto tokens = at::randint(0, definition.config().num_tokens, {1, 256}, at::kLong);
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

/// The padding of a smaller block's last tile holds data of a larger block.
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
