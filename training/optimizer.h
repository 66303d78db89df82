// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) over a model's trainable parameters, by LibTorch's fused
// kernel; or Muon (Jordan et al. 2024) for its hidden matrices and AdamW for the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/safetensors.h"

namespace unroll {

enum class OptimizerKind { kAdamW, kMuon };
/// "adamw" or "muon"; throws std::runtime_error.
OptimizerKind optimizer_kind(const std::string& name);

class Optimizer {
 public:
  /// Shares the tensors. Matrices decay; vectors, embeddings and learned states do not. Muon multiplies its
  /// matrices in bf16 if `bf16`.
  Optimizer(const TensorMap& parameters, double weight_decay, OptimizerKind kind = OptimizerKind::kAdamW,
            bool bf16 = false);
  /// Scales the gradients down to `clip_norm` (all together), steps, and clears them.
  void step(double learning_rate, double clip_norm);
  /// "exp_avg.NAME" and "exp_avg_sq.NAME", or "momentum.NAME".
  TensorMap moments() const;
  void restore(const TensorMap& moments, std::int64_t steps);

 private:
  struct Group {
    double weight_decay = 0;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters, exp_avg, exp_avg_sq, steps;
  };
  struct Matrix {
    std::string name;
    at::Tensor parameter, momentum;
  };
  void step_adamw(Group& group, double learning_rate, const at::Tensor& scale);
  void step_muon(Matrix& matrix, double learning_rate, double scale) const;

  Group groups_[2];
  std::vector<Matrix> matrices_;  // Muon's
  double weight_decay_;
  bool bf16_;
};

/// Approximates the nearest matrix whose rows (or columns, if there are fewer) are orthonormal, by five steps
/// of a Newton-Schulz iteration; the singular values end between 0.7 and 1.2.
at::Tensor orthogonalized(const at::Tensor& matrix, bool bf16);

/// The exponential moving average of the parameters over the steps (Polyak & Juditsky 1992). The decay of
/// early steps is lower, so that the initial values have no effect.
class WeightAverage {
 public:
  /// Starts as a copy of `weights`.
  WeightAverage(const TensorMap& weights, double decay);
  /// Call after each step; steps count from 1.
  void update(const TensorMap& parameters, std::int64_t step);
  const TensorMap& weights() const { return weights_; }

 private:
  TensorMap weights_;
  double decay_;
};

}  // namespace unroll
