// One step of the optimizer, and the average of the weights.
#include "training/optimizer.h"

#include <cmath>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace unroll {
namespace {

TEST(AdamW, OneStepAsThePaperSays) {
  // The first step is lr * sign(gradient), whatever its size, and decay is apart from it.
  auto matrix = at::full({2, 2}, 3.0), vector = at::full({2}, 3.0);
  TensorMap parameters{{"a.weight", matrix.set_requires_grad(true)},
                       {"a.gamma", vector.set_requires_grad(true)}};
  Optimizer optimizer(parameters, 0.5);
  matrix.mutable_grad() = at::full({2, 2}, 0.25);
  vector.mutable_grad() = at::full({2}, -4.0);
  optimizer.step(0.1, 1e9);
  EXPECT_NEAR(matrix.detach().max().item<double>(), 3 * (1 - 0.1 * 0.5) - 0.1, 1e-5);
  EXPECT_NEAR(vector.detach().min().item<double>(), 3 + 0.1, 1e-5);
  EXPECT_FALSE(matrix.grad().defined());
}

TEST(AdamW, ClipsAllGradientsTogether) {
  auto a = at::zeros({1}), b = at::zeros({1});
  TensorMap parameters{{"a", a.set_requires_grad(true)}, {"b", b.set_requires_grad(true)}};
  Optimizer optimizer(parameters, 0);
  a.mutable_grad() = at::full({1}, 3.0);
  b.mutable_grad() = at::full({1}, 4.0);
  optimizer.step(0.1, 1);
  // exp_avg is (1 - 0.9) times the clipped gradient: 3 / 5 and 4 / 5.
  EXPECT_NEAR(optimizer.moments().at("exp_avg.a").item<double>(), 0.06, 1e-6);
  EXPECT_NEAR(optimizer.moments().at("exp_avg.b").item<double>(), 0.08, 1e-6);
}

TEST(Muon, MovesHiddenMatricesByWhatIsOrthogonalAndTheRestByAdamW) {
  at::manual_seed(3);
  const auto name = "layers.0.0.to_q.weight";
  auto hidden = at::full({4, 6}, 3.0), logits = at::full({4, 6}, 3.0), vector = at::full({2}, 3.0);
  TensorMap parameters{{name, hidden.set_requires_grad(true)},
                       {"to_logits.1.weight", logits.set_requires_grad(true)},
                       {"a.gamma", vector.set_requires_grad(true)}};
  Optimizer optimizer(parameters, 0.5, OptimizerKind::kMuon);
  const auto gradient = at::randn({4, 6});
  hidden.mutable_grad() = gradient.clone();
  logits.mutable_grad() = at::full({4, 6}, 0.25);
  optimizer.step(0.1, 1e9);
  // W = (1 - rate * decay) W - rate * 0.2 sqrt(6) O, O's singular values being about 1 and its directions
  // those of the gradient.
  const auto update = (3 * (1 - 0.1 * 0.5) - hidden.detach()) / (0.1 * 0.2 * std::sqrt(6.0));
  const auto values = at::linalg_svdvals(update);
  EXPECT_GT(values.min().item<double>(), 0.65);
  EXPECT_LT(values.max().item<double>(), 1.25);
  const auto [u, s, v] = at::linalg_svd(gradient, false);
  EXPECT_LT((update - at::mm(u, v)).norm().item<double>() / update.norm().item<double>(), 0.3);
  EXPECT_NEAR(logits.detach().max().item<double>(), 3 * (1 - 0.1 * 0.5) - 0.1, 1e-5);

  // The second step has momentum, with which another optimizer continues.
  Optimizer other(parameters, 0.5, OptimizerKind::kMuon);
  auto saved = optimizer.moments();
  EXPECT_TRUE(at::allclose(saved.at("momentum." + std::string(name)), gradient));
  other.restore(saved, 1);
  EXPECT_TRUE(at::equal(other.moments().at("momentum." + std::string(name)), gradient));
  EXPECT_FALSE(saved.contains("exp_avg." + std::string(name)));
}

TEST(WeightAverage, ForgetsWhatItBeganFromAndThenKeepsToItsDecay) {
  TensorMap weights{{"a", at::full({2}, 8.0)}};
  WeightAverage average(weights, 0.9);
  weights["a"] = at::full({2}, 2.0);
  average.update(weights, 1);  // Decay 2 / 11: early steps count for more.
  EXPECT_NEAR(average.weights().at("a").max().item<double>(), 8 * 2 / 11.0 + 2 * 9 / 11.0, 1e-6);
  const auto before = average.weights().at("a").max().item<double>();
  average.update(weights, 1'000'000);
  EXPECT_NEAR(average.weights().at("a").max().item<double>(), 0.9 * before + 0.1 * 2, 1e-6);
}

}  // namespace
}  // namespace unroll
