// The gradients of a fast step: one tensor for each trainable parameter, allocated once.
#pragma once

#include <map>

#include "model/rotary.h"
#include "model/safetensors.h"
#include "training/fast/step_attention.h"
#include "training/fast/step_parts.h"

namespace unroll {

class Gradients {
 public:
  /// `parameters`: contiguous fp32 on the CPU, whose memory must not move.
  explicit Gradients(const TensorMap& parameters);
  void clear();
  const TensorMap& tensors() const { return tensors_; }
  float* of(const at::Tensor& parameter) const;
  Vector vector(const at::Tensor& parameter) const;
  template <typename Number>
  Weight<Number> weight(const at::Tensor& parameter) const {
    return rows<Number>(parameter, 0, parameter.size(0));
  }
  /// A range of a matrix's outputs.
  template <typename Number>
  Weight<Number> rows(const at::Tensor& parameter, std::int64_t first, std::int64_t count) const {
    const auto in = parameter.size(1);
    return Weight<Number>(parameter.const_data_ptr<float>() + first * in, of(parameter) + first * in, count,
                          in);
  }

 private:
  TensorMap tensors_;
  std::map<const void*, float*> places_;
};

/// Rotary tables by feature, [dim_head, stride], padded with a whole tile after the last
/// position.
class RotaryRows {
 public:
  explicit RotaryRows(const RotaryTables& tables);
  /// The tables of the window's last positions.
  Rotation last(std::int64_t queries, std::int64_t keys) const;

 private:
  at::Tensor q_cosine_, q_sine_, k_cosine_, k_sine_;
  std::int64_t width_;
};

/// Divides a block of lanes into tiles; a tile holds positions of one lane.
struct BlockShape {
  std::int64_t lanes, width;
  std::int64_t lane_tiles() const { return round_up(width, kTileRows) / kTileRows; }
  std::int64_t tiles() const { return lanes * lane_tiles(); }
  /// A tile's lane, its first position there, and its number of valid positions.
  std::int64_t lane(std::int64_t tile) const { return tile / lane_tiles(); }
  std::int64_t first(std::int64_t tile) const { return tile % lane_tiles() * kTileRows; }
  std::int64_t count(std::int64_t tile) const {
    const auto left = width - first(tile);
    return left < kTileRows ? left : kTileRows;
  }
};

}  // namespace unroll
