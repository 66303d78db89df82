#include "training/optimizer.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/block_recurrent_transformer.h"

namespace unroll {
namespace {
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kEpsilon = 1e-8;
}  // namespace

AdamW::AdamW(const TensorMap& parameters, double weight_decay) {
  groups_[0].weight_decay = weight_decay;
  for (const auto& [name, tensor] : parameters) {
    if (!BlockRecurrentTransformer::is_trainable(name)) continue;
    const bool decays = tensor.dim() >= 2 && name.ends_with(".weight") && name != "token_emb.weight";
    auto& group = groups_[decays ? 0 : 1];
    group.names.push_back(name);
    group.parameters.push_back(tensor);
    group.exp_avg.push_back(at::zeros_like(tensor.detach()));
    group.exp_avg_sq.push_back(at::zeros_like(tensor.detach()));
    group.steps.push_back(at::zeros({}, at::kFloat));
  }
}

void AdamW::step(double learning_rate, double clip_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> squares;
  for (auto& group : groups_) {
    for (auto& parameter : group.parameters) {
      // A parameter that this step did not touch (the initial state, once every row is past its first block).
      if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
      squares.push_back(parameter.grad().square().sum());
    }
  }
  const auto norm = at::stack(squares).sum().sqrt().item<double>();
  // The fused kernel divides gradients by grad_scale.
  const auto scale = at::scalar_tensor(std::max(1.0, norm / clip_norm), at::kFloat);
  for (auto& group : groups_) {
    std::vector<at::Tensor> gradients;
    for (auto& parameter : group.parameters) gradients.push_back(parameter.grad());
    for (auto& steps : group.steps) steps.add_(1);
    at::_fused_adamw_(group.parameters, gradients, group.exp_avg, group.exp_avg_sq, {}, group.steps,
                      learning_rate, kBeta1, kBeta2, group.weight_decay, kEpsilon, false, false, scale, {});
    for (auto& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

TensorMap AdamW::moments() const {
  TensorMap result;
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      result["exp_avg." + group.names[i]] = group.exp_avg[i];
      result["exp_avg_sq." + group.names[i]] = group.exp_avg_sq[i];
    }
  }
  return result;
}

void AdamW::restore(const TensorMap& moments, std::int64_t steps) {
  for (auto& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      const auto avg = moments.find("exp_avg." + group.names[i]);
      const auto square = moments.find("exp_avg_sq." + group.names[i]);
      if (avg == moments.end() || square == moments.end()) {
        throw std::runtime_error("the checkpoint's optimizer knows nothing of " + group.names[i]);
      }
      group.exp_avg[i].copy_(avg->second);
      group.exp_avg_sq[i].copy_(square->second);
      group.steps[i].fill_(static_cast<double>(steps));
    }
  }
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
