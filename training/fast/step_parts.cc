#include "training/fast/step_parts.h"

#include <algorithm>
#include <cstring>

#include <ATen/core/Tensor.h>

namespace unroll {
namespace {

// For a weight's gradient: outputs of one product, and positions that it sums before the next panel evicts
// them from the cache.
constexpr std::int64_t kGradientOutputs = 128;
constexpr std::int64_t kGradientPositions = 1024;

}  // namespace

void multiply_tile(std::int64_t m, std::int64_t n, std::int64_t depth, const float* a, std::int64_t stride_a,
                   const float* b, float* c, std::int64_t stride_c, bool add) {
  tile_product(m, n, depth, stride_a, kTileRows, stride_c, add, a, b, c);
}

void multiply_tile(std::int64_t m, std::int64_t n, std::int64_t depth, const std::uint16_t* a,
                   std::int64_t stride_a, const std::uint16_t* b, float* c, std::int64_t stride_c, bool add) {
  tile_product(m, n, depth, stride_a, kTileRows, stride_c, add, reinterpret_cast<const at::BFloat16*>(a),
               reinterpret_cast<const at::BFloat16*>(b), c);
}

template <typename Number>
Weight<Number>::Weight(const float* values, float* gradient, std::int64_t out, std::int64_t in)
    : values_(values),
      gradient_(gradient),
      out_(out),
      in_(in),
      plain_stride_(depth_of<Number>(in)),
      turned_stride_(round_up(out, kTileRows)) {}

template <typename Number>
void Weight<Number>::refresh(StepMachine<Number>& machine) {
  auto* turned = turned_room_.resize<Number>(in_ * turned_stride_);
  Number* plain = nullptr;
  if constexpr (std::is_same_v<Number, float>) {
    plain_ = values_;
  } else {
    plain = plain_room_.resize<Number>(out_ * plain_stride_);
    plain_ = plain;
  }
  turned_ = turned;
  machine.parallel(turned_stride_ / kTileRows, [&](std::int64_t i, Room& room) {
    const auto first = i * kTileRows, rows = std::min(kTileRows, out_ - first);
    auto* tile = room.take<float>(0, in_ * kTileRows);
    machine.kernels.tile(values_ + first * in_, in_, rows, in_, tile);
    machine.kernels.plain(tile, in_, turned_stride_, turned + first);
    if constexpr (!std::is_same_v<Number, float>) {
      for (auto row = first; row < first + rows; ++row)
        machine.loops.to_bf16(values_ + row * in_, in_, plain + row * plain_stride_);
    }
  });
}

template <typename Number>
void Weight<Number>::add_gradient(const Number* dy, const Number* x, std::int64_t positions,
                                  StepMachine<Number>& machine) {
  const auto panels = round_up(in_, kTileRows) / kTileRows;
  const auto parts = round_up(out_, kGradientOutputs) / kGradientOutputs;
  machine.parallel(panels * parts, [&](std::int64_t i, Room&) {
    const auto panel = i % panels, first = i / panels * kGradientOutputs;
    const auto columns = std::min(kTileRows, in_ - panel * kTileRows);
    for (std::int64_t at = 0; at < positions; at += kGradientPositions)
      multiply_tile(std::min(kGradientOutputs, out_ - first), columns,
                    std::min(kGradientPositions, positions - at), dy + first * positions + at, positions,
                    x + (panel * positions + at) * kTileRows, gradient_ + first * in_ + panel * kTileRows,
                    in_, true);
  });
}

void Partials::resize(std::int64_t parts, std::int64_t count) {
  parts_ = parts;
  count_ = count;
  std::memset(values_.resize<float>(parts * count), 0,
              static_cast<std::size_t>(parts * count) * sizeof(float));
}

void Partials::add_to(float* gradient) {
  for (std::int64_t i = 0; i < parts_; ++i)
    for (std::int64_t j = 0; j < count_; ++j) gradient[j] += part(i)[j];
}

template class Weight<float>;
template class Weight<std::uint16_t>;

}  // namespace unroll
