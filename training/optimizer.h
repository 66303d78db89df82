// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) over a model's trainable parameters, by LibTorch's fused
// kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/safetensors.h"

namespace unroll {

class AdamW {
 public:
  /// Shares the tensors. Matrices decay; vectors, embeddings and learned states do not.
  AdamW(const TensorMap& parameters, double weight_decay);
  /// Scales the gradients down to `clip_norm` (all together), steps, and clears them.
  void step(double learning_rate, double clip_norm);
  /// "exp_avg.NAME" and "exp_avg_sq.NAME".
  TensorMap moments() const;
  void restore(const TensorMap& moments, std::int64_t steps);

 private:
  struct Group {
    double weight_decay = 0;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters, exp_avg, exp_avg_sq, steps;
  };
  Group groups_[2];
};

/// The exponential moving average of the parameters over the steps (Polyak & Juditsky 1992; with the decay of
/// early steps held down, so that it forgets what they began from).
class WeightAverage {
 public:
  /// Begins as `weights`, a copy.
  WeightAverage(const TensorMap& weights, double decay);
  /// Call after each step; steps count from 1.
  void update(const TensorMap& parameters, std::int64_t step);
  const TensorMap& weights() const { return weights_; }

 private:
  TensorMap weights_;
  double decay_;
};

}  // namespace unroll
