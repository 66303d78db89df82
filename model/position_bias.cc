#include "model/position_bias.h"

#include <ATen/ATen.h>

namespace unroll {

at::Tensor PositionBias::by_distance(std::int64_t distances) const {
  const auto linear = [](const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    return at::linear(x.to(weight.scalar_type()), weight).to(at::kFloat) + bias;
  };
  const auto distance = at::arange(distances, in_weight.options().dtype(at::kFloat));
  auto x = linear(distance.log1p().unsqueeze(1), in_weight, in_bias);
  x = linear(at::silu(x), middle_weight, middle_bias);
  return linear(at::silu(x), out_weight, out_bias).transpose(0, 1);
}

at::Tensor PositionBias::operator()(std::int64_t length, std::int64_t past_length) const {
  const auto all = past_length + length;
  const auto index = in_weight.options().dtype(at::kLong);
  const auto distances =
      at::arange(past_length, all, index).unsqueeze(1) - at::arange(all, index).unsqueeze(0);
  return by_distance(all).index_select(1, distances.clamp_min(0).flatten()).unflatten(1, {length, all});
}

}  // namespace unroll
