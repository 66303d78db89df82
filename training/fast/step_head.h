// The fast training step's last norm, output projection and cross-entropy. Logits are held for a few tiles of
// positions at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "model/block_recurrent_transformer.h"
#include "training/fast/gradients.h"
#include "training/fast/step_parts.h"

namespace unroll {

template <typename Number>
class StepHead {
 public:
  StepHead(const LayerNorm& norm, const at::Tensor& to_logits, const Gradients& gradients,
           StepMachine<Number>& machine);
  void refresh() { to_logits_.refresh(machine_); }
  /// x [tiles, dim, 64]; targets [lanes, width], `ignored` if there is none. d becomes the gradient of
  /// `weight` times the sum of losses. Returns that sum, in nats.
  double run(const float* x, const std::int64_t* targets, std::int64_t ignored, double weight,
             BlockShape shape, float* d);

 private:
  struct Columns;
  double run_tile(const float* x, const Columns& columns, std::int64_t tile, std::int64_t place, Room& room,
                  float* d);

  StepMachine<Number>& machine_;
  std::int64_t dim_, tokens_;
  Vector gamma_;
  Weight<Number> to_logits_;
  Gathered<Number> d_logits_, normed_;
  Partials gamma_part_;
};

extern template class StepHead<float>;
extern template class StepHead<std::uint16_t>;

}  // namespace unroll
