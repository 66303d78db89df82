// Compares the network's GPU form, run on the CPU, with the definition, over options, blocks and numbers of
// documents. Its row programs run with one thread, and its recordings repeat the work. Only launches need a
// GPU.
#include "model/gpu/gpu_transformer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/model/fast_form.h"

namespace unroll {
namespace {

using Json = nlohmann::json;

GpuTransformer form_of(const BlockRecurrentTransformer& definition, at::ScalarType numbers = at::kFloat,
                       bool record = true) {
  return {definition, std::make_unique<SerialMachine>(), numbers, record};
}

class GpuTransformerTest : public testing::TestWithParam<FormCase> {
 protected:
  /// Documents of four blocks and a part of one.
  static double difference(std::int64_t batch, at::ScalarType numbers, bool record) {
    const c10::InferenceMode guard;
    const auto definition = random_network(GetParam().changes);
    auto form = form_of(definition, numbers, record);
    const auto found = largest_difference(definition, form, batch, 4);
    EXPECT_EQ(form.recording_failure(), "");
    return found;
  }
};

TEST_P(GpuTransformerTest, ComputesWhatTheDefinitionDoes) {
  EXPECT_LT(difference(1, at::kFloat, true), 1e-5);
}

TEST_P(GpuTransformerTest, SeveralDocumentsThatFillNoBucket) {
  EXPECT_LT(difference(3, at::kFloat, true), 1e-5);
}

TEST_P(GpuTransformerTest, WithoutRecordings) {
  EXPECT_LT(difference(2, at::kFloat, false), 1e-5);
}

TEST_P(GpuTransformerTest, Bf16) {
  EXPECT_LT(difference(2, at::kBFloat16, true), 2e-2);
}

INSTANTIATE_TEST_SUITE_P(
    Options, GpuTransformerTest,
    testing::ValuesIn(form_cases(
        {{"two_states_read_at_one_layer", {{"recurrent_layers", {3, 2}}, {"read_recurrent_layers", {2, 2}}}},
         {"wide_network",
          {{"dim", 136}, {"dim_head", 80}, {"heads", 3}, {"num_tokens", 1111}, {"ff_mult", 5}}}})),
    [](const auto& info) { return info.param.name; });

TEST(GpuTransformer, KnowsWhatItHasNoFormFor) {
  const auto computes = [](const Json& changes) { return GpuTransformer::computes(three_layers(changes)); };
  EXPECT_TRUE(computes(Json::object()));
  EXPECT_FALSE(computes({{"dynamic_position_bias", true}}));
  EXPECT_FALSE(computes({{"routed_memory_layer", 2}, {"routed_memory_segment", 2}}));
  EXPECT_FALSE(computes({{"state_gate", "lstm"}}));
  EXPECT_FALSE(computes({{"state_cell", "single"}}));
  EXPECT_FALSE(computes({{"dim", 20}}));
  EXPECT_FALSE(computes({{"dim_head", 12}}));
}

TEST(GpuTransformer, ScoresBlocksAsTheyAreWanted) {
  const c10::InferenceMode guard;
  const auto definition = random_network({{"num_tokens", 50}});
  auto form = form_of(definition);
  const auto tokens = at::randint(0, 50, {3, 8}, at::kLong);
  Recurrence recurrence;
  const auto hidden = form.forward_block(tokens, recurrence);
  const std::vector<std::int32_t> targets{1, 49, 0, 7, 7, 30, 12, 48};
  std::vector<std::vector<float>> logprobs(3, {1.0F}), entropy(3);  // existing content stays
  const auto finish = form.score(hidden, {{targets, &logprobs[0], nullptr},
                                          {targets, &logprobs[1], &entropy[1]},
                                          {targets, &logprobs[2], &entropy[2]}});
  std::vector<float> later;  // begun before the others are waited for
  const auto finish_later = form.score(hidden.narrow(0, 1, 1), {{targets, &later, nullptr}});
  finish();
  finish_later();
  const auto all = at::log_softmax(definition.to_logits(hidden), -1);
  const auto wanted = -(all.exp() * all).sum(-1);
  EXPECT_TRUE(entropy[0].empty());
  EXPECT_EQ(later, std::vector<float>(logprobs[1].begin() + 1, logprobs[1].end()));
  for (std::int64_t block = 0; block < 3; ++block) {
    const auto at = static_cast<std::size_t>(block);
    ASSERT_EQ(logprobs[at].size(), 9U);
    EXPECT_EQ(logprobs[at][0], 1.0F);
    for (std::int64_t i = 0; i < 8; ++i) {
      const auto place = static_cast<std::size_t>(i);
      EXPECT_NEAR(logprobs[at][place + 1], all[block][i][targets[place]].item<float>(), 1e-5);
      if (block > 0) {
        EXPECT_NEAR(entropy[at][place], wanted[block][i].item<float>(), 1e-5);
      }
    }
  }
}

/// Documents come and go: neither the other rows of a recording nor its earlier replays matter.
TEST(GpuTransformer, ARecordingServesOtherDocuments) {
  const c10::InferenceMode guard;
  const auto definition = random_network();
  auto form = form_of(definition), plain = form_of(definition, at::kFloat, false);
  std::vector<Recurrence> kept;
  std::vector<at::Tensor> hidden;
  for (const std::int64_t batch : {4, 3, 1, 4}) {
    const auto tokens = at::randint(0, definition.config().num_tokens, {batch, 24}, at::kLong);
    Recurrence a, b;
    for (const auto& block : tokens.split(8, 1)) {
      const auto wanted = plain.forward_block(block, a);
      hidden.push_back(form.forward_block(block, b));
      EXPECT_TRUE(at::allclose(hidden.back(), wanted, 1e-5, 1e-5));
      hidden.push_back(hidden.back().clone());
    }
    for (std::size_t i = 0; i < a.states.size(); ++i)
      EXPECT_TRUE(at::allclose(b.states[i], a.states[i], 1e-5, 1e-5));
    kept.push_back(b);
  }
  // Results that were returned are not overwritten.
  for (std::size_t i = 0; i < hidden.size(); i += 2) EXPECT_TRUE(hidden[i].equal(hidden[i + 1]));
}

/// For any layout of the numbers: as this form leaves them, and as the definition does.
TEST(GpuTransformer, RowsOfABatchAreTheirOwn) {
  const c10::InferenceMode guard;
  const auto definition = random_network();
  auto form = form_of(definition, at::kFloat, false);
  const auto tokens = at::randint(0, 50, {3, 8}, at::kLong);
  Recurrence a, b;
  definition.forward_block(tokens, a);
  form.forward_block(tokens, b);
  for (const auto* all : {&a, &b}) {
    const auto rows = all->rows(3);
    ASSERT_EQ(rows.size(), 3U);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto wanted = all->row(static_cast<std::int64_t>(i));
      for (std::size_t layer = 0; layer < wanted.memories.size(); ++layer) {
        const auto& memory = rows[i].memories.at(layer);
        EXPECT_TRUE(memory.equal(wanted.memories[layer]));
        EXPECT_TRUE(memory.is_contiguous());
        EXPECT_EQ(memory.storage().nbytes(), memory.nbytes());  // shares no memory with the others
      }
      EXPECT_TRUE(rows[i].states.at(0).equal(wanted.states.at(0)));
      EXPECT_EQ(rows[i].states.at(0).storage().nbytes(), wanted.states.at(0).nbytes());
    }
  }
}

/// A device that cannot record.
class ForgetfulMachine final : public SerialMachine {
 public:
  std::unique_ptr<Recording> record(std::function<void()>) override {
    ++asked;
    throw std::runtime_error("cannot record");
  }
  int asked = 0;
};

TEST(GpuTransformer, GoesOnWhereNothingCanBeRecorded) {
  const c10::InferenceMode guard;
  const auto definition = random_network();
  auto machine = std::make_unique<ForgetfulMachine>();
  const auto& asked = machine->asked;
  GpuTransformer form(definition, std::move(machine), at::kFloat, true);
  Recurrence a, b;
  for (int block = 0; block < 4; ++block) {
    const auto tokens = at::randint(0, 50, {2, 8}, at::kLong);
    EXPECT_TRUE(at::allclose(form.forward_block(tokens, b), definition.forward_block(tokens, a), 1e-5, 1e-5));
  }
  EXPECT_EQ(form.recording_failure(), "cannot record");
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace unroll
