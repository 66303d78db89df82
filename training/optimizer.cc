#include "training/optimizer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/block_recurrent_transformer.h"

namespace unroll {
namespace {
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kEpsilon = 1e-8;
// Muon's momentum, and the root mean square of an update in learning rates.
constexpr double kMomentum = 0.95;
constexpr double kUpdateSize = 0.2;
}  // namespace

OptimizerKind optimizer_kind(const std::string& name) {
  if (name == "adamw") return OptimizerKind::kAdamW;
  if (name == "muon") return OptimizerKind::kMuon;
  throw std::runtime_error("--optimizer must be adamw or muon");
}

Optimizer::Optimizer(const TensorMap& parameters, double weight_decay, OptimizerKind kind, bool bf16)
    : weight_decay_(weight_decay), bf16_(bf16) {
  groups_[0].weight_decay = weight_decay;
  for (const auto& [name, tensor] : parameters) {
    if (!BlockRecurrentTransformer::is_trainable(name)) continue;
    const bool decays = tensor.dim() >= 2 && name.ends_with(".weight") && name != "token_emb.weight";
    const bool hidden = decays && tensor.dim() == 2 && !name.starts_with("to_logits.");
    if (kind == OptimizerKind::kMuon && hidden) {
      matrices_.push_back({name, tensor, at::zeros_like(tensor.detach())});
      continue;
    }
    auto& group = groups_[decays ? 0 : 1];
    group.names.push_back(name);
    group.parameters.push_back(tensor);
    group.exp_avg.push_back(at::zeros_like(tensor.detach()));
    group.exp_avg_sq.push_back(at::zeros_like(tensor.detach()));
    group.steps.push_back(at::zeros({}, tensor.options().dtype(at::kFloat).requires_grad(false)));
  }
}

void Optimizer::step(double learning_rate, double clip_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  const auto take = [&](at::Tensor& parameter) {
    // A parameter without a gradient in this step (the initial state, if no row is in its first block).
    if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
    gradients.push_back(parameter.grad());
  };
  for (auto& group : groups_) std::ranges::for_each(group.parameters, take);
  for (auto& matrix : matrices_) take(matrix.parameter);
  const auto norm = at::stack(at::_foreach_norm(gradients)).norm().item<double>();
  const auto scale = std::max(1.0, norm / clip_norm);
  // The fused kernel divides gradients by grad_scale.
  const auto divisor = at::scalar_tensor(scale, gradients.front().options());
  for (auto& group : groups_) step_adamw(group, learning_rate, divisor);
  for (auto& matrix : matrices_) step_muon(matrix, learning_rate, scale);
}

void Optimizer::step_adamw(Group& group, double learning_rate, const at::Tensor& scale) {
  std::vector<at::Tensor> gradients;
  for (auto& parameter : group.parameters) gradients.push_back(parameter.grad());
  for (auto& steps : group.steps) steps.add_(1);
  at::_fused_adamw_(group.parameters, gradients, group.exp_avg, group.exp_avg_sq, {}, group.steps,
                    learning_rate, kBeta1, kBeta2, group.weight_decay, kEpsilon, false, false, scale, {});
  for (auto& parameter : group.parameters) parameter.mutable_grad().reset();
}

/// Updates have the scale of AdamW's (Liu et al. 2025, arXiv 2502.16982, section 2.2), so that the same
/// learning rate and decay suit both.
void Optimizer::step_muon(Matrix& matrix, double learning_rate, double scale) const {
  const auto gradient = matrix.parameter.grad() / scale;
  matrix.momentum.mul_(kMomentum).add_(gradient);
  const auto update = orthogonalized(gradient.add(matrix.momentum, kMomentum), bf16_);
  const auto longer = static_cast<double>(std::max(update.size(0), update.size(1)));
  matrix.parameter.mul_(1 - learning_rate * weight_decay_)
      .sub_(update, learning_rate * kUpdateSize * std::sqrt(longer));
  matrix.parameter.mutable_grad().reset();
}

at::Tensor orthogonalized(const at::Tensor& matrix, bool bf16) {
  constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;  // Jordan et al.: maximal slope at zero
  constexpr int kSteps = 5;
  const bool tall = matrix.size(0) > matrix.size(1);
  auto x = tall ? matrix.t() : matrix;
  x = (x / (x.norm() + 1e-7)).to(bf16 ? at::kBFloat16 : at::kFloat).contiguous();
  for (int i = 0; i < kSteps; ++i) {
    const auto square = at::mm(x, x.t());
    x = at::addmm(x, at::addmm(square, square, square, kB, kC), x, kA, 1);
  }
  x = x.to(at::kFloat);
  return tall ? x.t() : x;
}

TensorMap Optimizer::moments() const {
  TensorMap result;
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      result["exp_avg." + group.names[i]] = group.exp_avg[i];
      result["exp_avg_sq." + group.names[i]] = group.exp_avg_sq[i];
    }
  }
  for (const auto& matrix : matrices_) result["momentum." + matrix.name] = matrix.momentum;
  return result;
}

void Optimizer::restore(const TensorMap& moments, std::int64_t steps) {
  const auto copy = [&](const std::string& kind, const std::string& name, at::Tensor& to) {
    const auto found = moments.find(kind + name);
    if (found == moments.end()) throw std::runtime_error("the checkpoint's optimizer state lacks " + name);
    to.copy_(found->second);
  };
  for (auto& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      copy("exp_avg.", group.names[i], group.exp_avg[i]);
      copy("exp_avg_sq.", group.names[i], group.exp_avg_sq[i]);
      group.steps[i].fill_(static_cast<double>(steps));
    }
  }
  for (auto& matrix : matrices_) copy("momentum.", matrix.name, matrix.momentum);
}

WeightAverage::WeightAverage(const TensorMap& weights, double decay) : decay_(decay) {
  for (const auto& [name, tensor] : weights) weights_[name] = tensor.detach().clone();
}

void WeightAverage::update(const TensorMap& parameters, std::int64_t step) {
  const at::NoGradGuard no_grad;
  const auto steps = static_cast<double>(step);
  const auto decay = std::min(decay_, (1 + steps) / (10 + steps));
  for (auto& [name, average] : weights_) average.lerp_(parameters.at(name), 1 - decay);
}

}  // namespace unroll
