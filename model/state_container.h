// The recurrent cell of a layer (Hutchins et al. 2022, section 3): what a block reads from the states, and
// how it updates them. Gates and configurations are those of section 3.2. Memformer's update (Wu et al. 2020,
// arXiv 2010.06891, section 3.3) replaces them if the configuration says so.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "model/attention.h"
#include "model/config.h"

namespace unroll {

/// Updates a state: mixes the old value with what the cell computed.
struct StateGate {
  at::Tensor weight, bias;  // [dim, in], [dim]; the LSTM gate has three times as many rows: z, i, f
  at::Tensor beta;          // [dim], of the fixed gate; undefined: LSTM gate
  /// before [..., dim], hidden [..., in] -> [..., dim].
  at::Tensor operator()(const at::Tensor& before, const at::Tensor& hidden) const;
};

struct StateContainer {
  LayerNorm state_norm;
  at::Tensor q_to_state, q_from_state, state_to_q;  // [inner, dim]
  at::Tensor state_to_kv;                           // [2 * kv_dim, dim]
  at::Tensor init_state, state_pos_ids;             // [num_state_vectors, dim]
  at::Tensor to_state_out;                          // [dim, 2 * inner]; undefined in the single configuration
  StateGate gate;                                   // of attention's output; in single of the MLP's
  LayerNorm ff_norm;                                // dual only
  at::Tensor ff_in;                                 // single and dual: [2 * ff_inner, ...]
  StateGate ff_gate;                                // dual only
  at::Tensor forget_bias;                           // Memformer only: [num_state_vectors, dim]
  Attention to_state_cross_attn, state_self_attn, from_state_cross_attn;
  std::int64_t heads = 0;
  StateCell cell = StateCell::kSkip;

  /// What read() computes and the following write() needs again.
  struct Reading {
    at::Tensor states, normed, k, v;
  };
  /// `states` [batch, num_state_vectors, dim].
  Reading prepare(const at::Tensor& states) const;
  /// x [batch, n, dim], the layer's normed input -> [batch, n, inner].
  at::Tensor read(const at::Tensor& x, const Reading& reading) const;
  /// k, v [batch, n, kv_dim] of the block, unrotated -> the next states.
  at::Tensor write(const Reading& reading, const at::Tensor& k, const at::Tensor& v) const;
  /// The state before a document's first block: [num_state_vectors, dim].
  at::Tensor initial() const;

 private:
  at::Tensor write_slots(const Reading& reading, const at::Tensor& k, const at::Tensor& v) const;
};

StateContainer make_state_container(const ModelConfig& config, const std::string& prefix, bool qk_rmsnorm,
                                    const FindParameter& parameter);

}  // namespace unroll
