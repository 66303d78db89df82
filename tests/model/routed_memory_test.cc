// Routed memory: a position finds what it searches among many segments, the memory keeps to its budget, and
// the network is the same in training and in inference.
#include "model/routed_memory.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "model/block_recurrent_transformer.h"
#include "tests/model/testing.h"

namespace unroll {
namespace {

constexpr std::int64_t kWidth = 8;
constexpr double kTolerance = 1e-4;

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

/// coor_descent() of the package colt5-attention 0.11.2 on scores of make_golden.py, with its gradients.
TEST(CoordinateDescentTest, AgreesWithColt5AttentionsGradientsToo) {
  const auto golden = read_safetensors(golden_folder().parent_path() / "coordinate_descent.safetensors");
  for (const std::string name : {"annealed", "plain", "all"}) {
    SCOPED_TRACE(name);
    const auto part = [&](const std::string& what) { return golden.at(name + "." + what); };
    const auto settings = part("settings");  // k, iterations, epsilon, first_epsilon, decay
    const auto setting = [&](int i) { return settings[i].item<double>(); };
    const CoordinateDescent descent{setting(0), static_cast<int>(setting(1)), setting(2), setting(3),
                                    setting(4)};
    const auto scores = part("scores").clone().requires_grad_();
    const auto chosen = descent(scores);
    EXPECT_LT(difference(chosen.detach(), part("chosen")), kTolerance);
    (chosen * part("weights")).sum().backward();
    EXPECT_LT(difference(scores.grad(), part("gradient")), kTolerance);
  }
}

TEST(CoordinateDescentTest, ChoosesTheLargest) {
  const auto chosen = CoordinateDescent{2, 50, 0.01, 4, 0.7}(at::tensor({0.1f, 3.0f, -1.0f, 2.0f, 0.5f}));
  EXPECT_TRUE(at::allclose(chosen, at::tensor({0.0f, 1.0f, 0.0f, 1.0f, 0.0f}), 1e-2, 1e-2)) << chosen;
}

/// Keys and values taken directly from the input, so that the result shows what is attended to.
RoutedAttention plain_attention(std::int64_t dim, std::int64_t segment, std::int64_t top,
                                std::int64_t blocks) {
  RoutedAttention routed;
  routed.to_q = at::eye(dim);
  routed.to_route_q = routed.to_route_k = at::eye(dim);
  routed.heads = 1;
  routed.segment = segment;
  routed.top = top;
  routed.most_blocks = blocks;
  routed.stored = at::kBFloat16;
  return routed;
}

TEST(RoutedMemoryTest, APositionFindsTheOneOfThousandsThatItLooksFor) {
  at::manual_seed(1);
  const c10::InferenceMode guard;
  constexpr std::int64_t kDim = 16, kManyBlocks = 500;
  auto routed = plain_attention(kDim, 1, 1, kManyBlocks);
  routed.attention.scale = 100;
  RoutedMemory memory;
  at::Tensor needle;
  for (std::int64_t i = 0; i < kManyBlocks; ++i) {
    auto x = at::randn({1, kWidth, kDim});
    x = x / x.norm(2, -1, true);
    if (i == 123) needle = x.narrow(1, 5, 1).clone() * 2;
    if (i == 123) x.narrow(1, 5, 1).copy_(needle);
    memory = routed.append(memory, x, x, x);
  }
  const auto found = routed.read(needle / 2, memory);
  EXPECT_LT(difference(found, needle), 0.02);  // bf16
}

TEST(RoutedMemoryTest, TheOldestLeaveWhenTheBudgetIsFull) {
  const c10::InferenceMode guard;
  const auto routed = plain_attention(4, 2, 1, 3);
  RoutedMemory memory;
  for (int i = 0; i < 5; ++i) {
    const auto x = at::full({1, kWidth, 4}, i, at::kFloat);
    memory = routed.append(memory, x, x, x);
  }
  ASSERT_EQ(memory.size(), 3);
  EXPECT_EQ(memory.front()->unpacked().max().item<double>(), 2);
  EXPECT_EQ(memory.back()->unpacked().max().item<double>(), 4);
}

TEST(RoutedMemoryTest, WhatItTakesIsWhatIsDeclared) {
  const c10::InferenceMode guard;
  for (const std::string dtype : {"bf16", "int8"}) {
    const auto config = three_layers({{"routed_memory_layer", 2},
                                      {"routed_memory_segment", 4},
                                      {"routed_memory_tokens", 60},
                                      {"routed_memory_dtype", dtype}});
    const BlockRecurrentTransformer model(config, random_parameters(config));
    Recurrence recurrence;
    std::size_t most = 0;
    for (int block = 0; block < 20; ++block) {
      model.forward_block(at::randint(50, {1, kWidth}, at::kLong), recurrence);
      std::size_t bytes = 0;
      for (const auto& each : recurrence.routed) bytes += each->bytes();
      most = std::max(most, bytes);
    }
    EXPECT_EQ(most, routed_memory_bytes(config)) << dtype;
  }
}

/// With gradients another code path runs: it is the same network, up to rounding to bf16 and int8.
TEST(RoutedMemoryTest, TrainingAndInferenceAgree) {
  for (const std::string dtype : {"bf16", "int8"}) {
    at::manual_seed(2);
    const auto config = three_layers({{"routed_memory_layer", 2},
                                      {"routed_memory_segment", 2},
                                      {"routed_memory_top", 16},
                                      {"routed_memory_dtype", dtype}});
    const BlockRecurrentTransformer model(config, random_parameters(config));
    const auto tokens = at::randint(50, {2, 4 * kWidth}, at::kLong);
    Recurrence trained, streamed;
    const auto expected = model.forward(tokens, trained);
    const c10::InferenceMode guard;
    EXPECT_LT(difference(model.forward(tokens, streamed), expected), 2e-2) << dtype;
  }
}

TEST(RoutedMemoryTest, TheRouterLearns) {
  at::manual_seed(2);
  const auto config =
      three_layers({{"routed_memory_layer", 2}, {"routed_memory_segment", 2}, {"routed_memory_top", 2}});
  auto parameters = random_parameters(config);
  for (auto& [name, tensor] : parameters) tensor.set_requires_grad(true);
  const BlockRecurrentTransformer model(config, parameters);
  Recurrence recurrence;
  model.forward(at::randint(50, {2, 4 * kWidth}, at::kLong), recurrence).square().sum().backward();
  for (const std::string name : {"to_q", "to_route_q", "to_route_k"})
    EXPECT_GT(parameters.at("layers.1.0.routed_memory." + name + ".weight").grad().abs().max().item<double>(),
              0)
        << name;
}

}  // namespace
}  // namespace unroll
