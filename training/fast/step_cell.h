// The recurrent cell (model/state_container.h) of the fast training step: the skip configuration with the
// fixed or the LSTM's gate.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "model/state_container.h"
#include "training/fast/gradients.h"
#include "training/fast/step_attention.h"
#include "training/fast/step_parts.h"

namespace unroll {

template <typename Number>
class StepCell {
 public:
  StepCell(const ModelConfig& config, const StateContainer& container, const Gradients& gradients,
           StepMachine<Number>& machine);
  void refresh();

  struct Kept {
    Buffer stats, entry, kv, d_kv, joined, self_lse, cross_lse, out, z;
    void resize(const StepCell& cell, std::int64_t lanes);
  };
  std::int64_t tiles() const { return tiles_; }  ///< Of one lane's states.
  std::int64_t size() const { return tiles_ * dim_ * kTileRows; }
  /// Writes a lane's initial states to tiles [tiles(), dim, 64].
  void set_initial(float* states) const;
  void set(const float* rows, float* states) const;        ///< [num_state_vectors, dim] -> tiles
  void get(const float* states, float* rows) const;        ///< The inverse.
  void add_initial_gradient(const float* d_states) const;  ///< Of one lane.

  /// Computes keys, values and queries of the states [lanes, tiles(), dim, 64].
  void prepare(const float* states, Kept& kept, std::int64_t lanes);
  /// The states' keys and values for the layers that read them, with gradients.
  KeySegment segment(Kept& kept, std::int64_t lanes) const;
  const Vector& read_q_scale() const { return read_q_scale_; }
  const Vector& read_k_scale() const { return read_k_scale_; }
  float read_scale() const { return scale_; }

  /// The states after a block with these keys and values.
  void write(const float* states, Kept& kept, std::int64_t lanes, const KeySegment& block,
             StepAttention<Number>& attention, float* next);
  /// d_next -> d_states; adds to the gradients of the block's and the states' keys and values.
  void write_back(const float* states, Kept& kept, std::int64_t lanes, const KeySegment& block,
                  StepAttention<Number>& attention, const float* d_next, float* d_states);
  /// The rest of the backward pass, after all readers; adds to d_states. `written`: write_back() was
  /// called.
  void prepare_back(const float* states, Kept& kept, std::int64_t lanes, bool written, float* d_states);

 private:
  AttentionCall call(Kept& kept, std::int64_t lanes, bool cross, const KeySegment& keys);
  void gate(const float* states, const float* z, float* next) const;
  void gate_back(const float* states, const float* z, const float* d_next, float* dz, float* d_states,
                 float* d_beta) const;
  /// The number of valid states in a tile.
  std::int64_t rows_in(std::int64_t tile) const { return std::min(kTileRows, count_ - tile * kTileRows); }

  StepMachine<Number>& machine_;
  std::int64_t dim_, inner_, kv_, heads_, kv_heads_, dim_head_, count_, tiles_;
  float scale_;
  Vector gamma_, places_, initial_, bias_, beta_;
  Vector self_q_scale_, self_k_scale_, cross_q_scale_, cross_k_scale_, read_q_scale_, read_k_scale_;
  Weight<Number> key_value_, self_q_, cross_q_, out_, gate_;
  Buffer place_tiles_;
  // For the backward pass.
  Gathered<Number> d_z_, gate_in_, d_out_, joined_in_, d_kv_, d_self_, normed_;
  Buffer d_joined_, d_entry_, d_normed_;
  Partials gamma_part_, bias_part_, beta_part_;
};

extern template class StepCell<float>;
extern template class StepCell<std::uint16_t>;

}  // namespace unroll
