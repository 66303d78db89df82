#include "model/rotary.h"

#include <ATen/ATen.h>

namespace unroll {
namespace {
constexpr double kTheta = 10000;
constexpr double kScaleBase = 512;
}  // namespace

RotaryTables::RotaryTables(std::int64_t dim_head, std::int64_t width, at::Device device) {
  // In the reference's order and precision (fp32), so that the tables have the same bits, or nearly.
  const auto even = at::arange(0, dim_head, 2, at::kFloat);
  const auto inverse_frequency = 1.0 / at::pow(at::Scalar(kTheta), even / static_cast<double>(dim_head));
  const auto position = at::arange(width, at::kFloat);
  auto angle = at::outer(position, inverse_frequency);
  angle = at::cat(std::vector<at::Tensor>{angle, angle}, -1);
  const auto base = (even + 0.4 * static_cast<double>(dim_head)) / (1.4 * static_cast<double>(dim_head));
  const auto power = (position - static_cast<double>(width / 2)) / kScaleBase;
  auto scale = at::pow(base, power.unsqueeze(-1));
  scale = at::cat(std::vector<at::Tensor>{scale, scale}, -1);
  query_cos_ = (angle.cos() * scale).to(device);
  query_sin_ = (angle.sin() * scale).to(device);
  key_cos_ = (angle.cos() / scale).to(device);
  key_sin_ = (angle.sin() / scale).to(device);
}

at::Tensor RotaryTables::rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                                std::int64_t behind) {
  const auto length = x.size(-2);
  const auto width = cos.size(0) - behind;
  TORCH_CHECK(length <= width, "a sequence of ", length, " positions does not fit a rotary window of ",
              width);
  const auto halves = x.chunk(2, -1);
  const auto rotated = at::cat(std::vector<at::Tensor>{-halves[1], halves[0]}, -1);
  return x * cos.narrow(0, width - length, length) + rotated * sin.narrow(0, width - length, length);
}

}  // namespace unroll
