// The fast step gives the same loss, gradients and recurrence as autograd on the definition.
#include "training/fast/fast_step.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "tests/model/testing.h"
#include "training/memory_replay.h"
#include "training/optimizer.h"

namespace unroll {
namespace {

constexpr std::int64_t kLanes = 3;
constexpr std::size_t kBlocks = 4;
constexpr std::int64_t kAccumulate = 2;

class FastStepGradients : public testing::TestWithParam<nlohmann::json> {
 protected:
  FastStepGradients() {
    at::set_num_threads(1);
    at::manual_seed(9);
    parameters = random_parameters(config);
    for (auto& [name, tensor] : parameters) {
      // A zero gradient would hide errors, as would scales and norms of one.
      if (name.ends_with("gamma") || name.ends_with("_scale"))
        tensor.copy_(at::randn_like(tensor) * 0.3 + 1.5);
      if (BlockRecurrentTransformer::is_trainable(name)) tensor.set_requires_grad(true);
    }
  }

  TrainingBlocks take_blocks(const std::vector<std::vector<std::int64_t>>& begins) const {
    TrainingBlocks blocks;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const std::vector<std::int64_t> shape{kLanes, config.block_width};
      blocks.inputs.push_back(at::randint(config.num_tokens, shape, at::kLong));
      auto targets = at::randint(config.num_tokens, shape, at::kLong);
      targets.masked_fill_(at::rand(shape) < 0.1, config.ignore_index);
      blocks.targets.push_back(targets);
      blocks.begins.push_back(at::tensor(begins[i]).to(at::kBool));
      blocks.tokens += (targets != config.ignore_index).sum().item<std::int64_t>();
    }
    return blocks;
  }

  /// With the definition; gradients are added to the parameters'.
  double autograd(const TrainingBlocks& blocks, double weight, Recurrence& recurrence) const {
    const BlockRecurrentTransformer model(config, parameters);
    const auto before_block = [&](std::size_t index, Recurrence& before) {
      before.forget(blocks.begins[index], model.initial_states(kLanes));
    };
    const auto loss_of = [&](std::size_t index, const at::Tensor& hidden, const at::Tensor&) {
      return at::cross_entropy_loss(model.to_logits(hidden.flatten(0, 1)), blocks.targets[index].flatten(),
                                    {}, at::Reduction::Sum, config.ignore_index) *
             weight;
    };
    return plain_backward(model, blocks.inputs, recurrence, {before_block, loss_of, false}) / weight;
  }

  void compare(const Recurrence& fast, const Recurrence& expected, double tolerance) const {
    ASSERT_EQ(fast.memories.size(), expected.memories.size());
    ASSERT_EQ(fast.states.size(), expected.states.size());
    ASSERT_EQ(fast.memories_visible.defined(), expected.memories_visible.defined());
    if (fast.memories_visible.defined()) {
      EXPECT_TRUE(at::equal(fast.memories_visible, expected.memories_visible));
    }
    for (std::size_t i = 0; i < fast.memories.size(); ++i)
      EXPECT_TRUE(at::allclose(fast.memories[i], expected.memories[i], tolerance, tolerance)) << i;
    for (std::size_t i = 0; i < fast.states.size(); ++i)
      EXPECT_TRUE(at::allclose(fast.states[i], expected.states[i], tolerance, tolerance)) << i;
  }

  /// Two passes, the second with the recurrence of the first; each with documents that begin in the middle.
  void compare_passes(const std::string& dtype, bool replay, double tolerance) {
    ASSERT_TRUE(FastStep::computes(config, parameters, dtype));
    const auto fast = FastStep::make(config, parameters, kLanes, dtype, 2);
    fast->refresh();
    Recurrence carried, expected;
    for (const auto& begins :
         {std::vector<std::vector<std::int64_t>>{{1, 1, 1}, {0, 0, 0}, {0, 1, 0}, {0, 0, 0}},
          std::vector<std::vector<std::int64_t>>{{0, 0, 1}, {0, 1, 0}, {0, 0, 0}, {1, 0, 0}}}) {
      const auto blocks = take_blocks(begins);
      const auto weight = 1.0 / static_cast<double>(blocks.tokens * kAccumulate);
      const auto loss = fast->pass(blocks, weight, replay, carried);
      const auto by_definition = autograd(blocks, weight, expected);
      EXPECT_NEAR(loss / by_definition, 1, tolerance);
      compare(carried, expected, 10 * tolerance);
    }
    for (const auto& [name, gradient] : fast->gradients()) {
      const auto reference = parameters.at(name).grad();
      ASSERT_TRUE(reference.defined()) << name;
      const auto size = reference.norm().item<double>();
      EXPECT_GT(size, 0) << name;
      EXPECT_LT((gradient - reference).norm().item<double>() / size, tolerance) << name;
    }
    fast->clear_gradients();
    for (const auto& [name, gradient] : fast->gradients()) EXPECT_EQ(gradient.count_nonzero().item<int>(), 0);
  }

  const ModelConfig config = three_layers(GetParam());
  TensorMap parameters;
};

TEST_P(FastStepGradients, AreThoseOfTheDefinition) {
  compare_passes("fp32", false, 1e-3);
}

TEST_P(FastStepGradients, AreTheSameByReplay) {
  compare_passes("fp32", true, 1e-3);
}

TEST_P(FastStepGradients, ComeNearInBf16) {
  if (!FastStep::computes(config, parameters, "bf16")) GTEST_SKIP() << "this CPU has no products of bf16";
  compare_passes("bf16", false, 0.15);
}

INSTANTIATE_TEST_SUITE_P(
    Each, FastStepGradients,
    testing::Values(nlohmann::json::object(), nlohmann::json{{"state_gate", "lstm"}},
                    nlohmann::json{{"use_memories", false}}, nlohmann::json{{"memory_blocks", 3}},
                    nlohmann::json{{"multi_query", false}, {"all_layers_qk_rmsnorm", true}},
                    nlohmann::json{{"enhanced_recurrence", true}, {"apply_qk_rmsnorm_scale", true}},
                    nlohmann::json{{"recurrent_layers", {2, 3}}, {"read_recurrent_layers", {1, 3}}},
                    nlohmann::json{{"recurrent_layers", nlohmann::json::array()}},
                    // More than one tile of each, and none of them full.
                    nlohmann::json{{"dim", 40},
                                   {"heads", 3},
                                   {"block_width", 96},
                                   {"max_seq_len", 192},
                                   {"num_state_vectors", 70},
                                   {"num_tokens", 601}},
                    nlohmann::json{{"dim", 128},
                                   {"dim_head", 80},
                                   {"block_width", 128},
                                   {"max_seq_len", 384},
                                   {"memory_blocks", 2},
                                   {"num_tokens", 1100}}),
    option_name);

/// Trained side by side on the same text, both stay equal.
class FastStepTraining : public FastStepGradients {};

TEST_P(FastStepTraining, TracksAutogradForFiftySteps) {
  constexpr double kRate = 3e-3;
  auto others = parameters;
  for (auto& [name, tensor] : others)
    tensor = tensor.detach().clone().set_requires_grad(BlockRecurrentTransformer::is_trainable(name));
  const auto fast = FastStep::make(config, parameters, kLanes, "fp32", 2);
  Optimizer optimizer(parameters, 0.1), other(others, 0.1);
  Recurrence carried, expected;
  const auto blocks = take_blocks({{0, 0, 0}, {0, 1, 0}, {0, 0, 0}, {0, 0, 1}});
  const auto weight = 1.0 / static_cast<double>(blocks.tokens);
  double first = 0, last = 0;
  for (int step = 0; step < 50; ++step) {
    fast->clear_gradients();
    fast->refresh();
    last = fast->pass(blocks, weight, false, carried) * weight;
    for (const auto& [name, gradient] : fast->gradients()) parameters.at(name).mutable_grad() = gradient;
    optimizer.step(kRate, 1);
    std::swap(parameters, others);
    const auto by_definition = autograd(blocks, weight, expected) * weight;
    std::swap(parameters, others);
    other.step(kRate, 1);
    ASSERT_NEAR(last, by_definition, 1e-4) << step;
    if (step == 0) first = last;
  }
  EXPECT_LT(last, 0.8 * first);
}

INSTANTIATE_TEST_SUITE_P(Each, FastStepTraining,
                         testing::Values(nlohmann::json::object(), nlohmann::json{{"state_gate", "lstm"}}),
                         option_name);

TEST(FastStep, LeavesToAutogradWhatItHasNoFormFor) {
  for (const auto& option :
       {nlohmann::json{{"state_gate", "memformer"}}, nlohmann::json{{"state_cell", "dual"}},
        nlohmann::json{{"dynamic_position_bias", true}}, nlohmann::json{{"gate_residuals", true}},
        nlohmann::json{{"use_compressed_mem", true}, {"compressed_mem_factor", 2}},
        nlohmann::json{{"routed_memory_layer", 2},
                       {"routed_memory_segment", 2},
                       {"routed_memory_top", 3},
                       {"routed_memory_tokens", 16}}}) {
    const auto config = three_layers(option);
    EXPECT_FALSE(FastStep::computes(config, random_parameters(config), "fp32")) << option;
  }
  const auto config = three_layers();
  auto parameters = random_parameters(config);
  EXPECT_TRUE(FastStep::computes(config, parameters, "fp32"));
  parameters.at("layers.0.1.0.beta").fill_(0.1);
  EXPECT_FALSE(FastStep::computes(config, parameters, "fp32")) << "a norm with a bias";
}

}  // namespace
}  // namespace unroll
