// Memory replay gives the gradients of plain back-propagation through all blocks.
#include "training/memory_replay.h"

#include <ATen/ATen.h>

#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int64_t kWidth = 8;
constexpr std::size_t kBlocks = 5;
constexpr double kTolerance = 1e-4;

class MemoryReplay : public testing::TestWithParam<nlohmann::json> {
 protected:
  MemoryReplay() {
    at::manual_seed(9);
    parameters = random_parameters(config);
    for (auto& [name, tensor] : parameters) tensor.set_requires_grad(true);
    for (std::size_t i = 0; i < kBlocks; ++i)
      blocks.push_back(at::randint(50, {2, i + 1 < kBlocks ? kWidth : kWidth / 2}, at::kLong));
  }

  /// The second row begins a document at block 2.
  void before_block(const BlockRecurrentTransformer& model, std::size_t index, Recurrence& recurrence) const {
    if (index != 2) return;
    const auto begins = at::tensor({0, 1}).to(at::kBool);
    recurrence.forget(begins, model.initial_states(2));
  }

  static at::Tensor loss(const BlockRecurrentTransformer& model, std::size_t index, const at::Tensor& hidden,
                         const at::Tensor& compression) {
    if (index == 1) return {};  // no loss
    const auto all = model.to_logits(hidden).square().mean();
    return compression.defined() ? all + compression : all;
  }

  std::map<std::string, at::Tensor> take_gradients() {
    std::map<std::string, at::Tensor> result;
    for (auto& [name, tensor] : parameters) {
      if (tensor.grad().defined()) result[name] = tensor.grad().clone();
      tensor.mutable_grad().reset();
    }
    return result;
  }

  const ModelConfig config = three_layers(GetParam());
  TensorMap parameters;
  std::vector<at::Tensor> blocks;
};

TEST_P(MemoryReplay, GradientsAreThoseOfPlainBackPropagation) {
  const BlockRecurrentTransformer model(config, parameters);
  const BackwardCallbacks callbacks{
      [&](std::size_t index, Recurrence& recurrence) { before_block(model, index, recurrence); },
      [&](std::size_t index, const at::Tensor& hidden, const at::Tensor& compression) {
        return loss(model, index, hidden, compression);
      },
      true};
  Recurrence plain, replayed;
  const auto total = plain_backward(model, blocks, plain, callbacks);
  const auto expected = take_gradients();

  const auto sum = replay_backward(model, blocks, replayed, callbacks);
  EXPECT_NEAR(sum, total, kTolerance);
  const auto actual = take_gradients();
  for (const auto& [name, gradient] : expected) {
    if (!actual.contains(name)) {
      EXPECT_EQ(gradient.abs().max().item<double>(), 0) << name;
      continue;
    }
    const auto scale = std::max(gradient.abs().max().item<double>(), 1e-3);
    EXPECT_LT((actual.at(name) - gradient).abs().max().item<double>() / scale, 1e-3) << name;
  }
  for (std::size_t i = 0; i < plain.states.size(); ++i)
    EXPECT_TRUE(at::allclose(plain.states[i], replayed.states[i], kTolerance, kTolerance));
  EXPECT_EQ(plain.routed.size(), replayed.routed.size());
}

INSTANTIATE_TEST_SUITE_P(
    Each, MemoryReplay,
    testing::Values(nlohmann::json::object(), nlohmann::json{{"state_gate", "lstm"}, {"use_memories", false}},
                    nlohmann::json{{"state_gate", "memformer"}}, nlohmann::json{{"memory_blocks", 2}},
                    nlohmann::json{{"use_compressed_mem", true}, {"compressed_mem_factor", 2}},
                    nlohmann::json{{"routed_memory_layer", 2},
                                   {"routed_memory_segment", 2},
                                   {"routed_memory_top", 3},
                                   {"routed_memory_tokens", 16}}),
    option_name);

}  // namespace
}  // namespace unroll
