// What the network's layers and its recurrent cells are both made of: norms, projections, attention.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "model/config.h"
#include "model/rotary.h"

namespace unroll {

/// x [..., in] times weight [out, in] transposed, in the weight's precision.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight);
at::Tensor split_heads(const at::Tensor& x, std::int64_t heads);  // [b, n, h * d] -> [b, h, n, d]
at::Tensor merge_heads(const at::Tensor& x);                      // [b, h, n, d] -> [b, n, h * d]
at::Tensor l2norm(const at::Tensor& x);                           // of the last dimension

/// Bias-less layer norm; `beta` is a buffer of zeros that the reference keeps in its checkpoints.
struct LayerNorm {
  at::Tensor gamma, beta;  // [dim]
  at::Tensor operator()(const at::Tensor& x) const;
};

/// Softmax attention with a single key/value head (multi-query) or one for each head, optionally with
/// normalised queries and keys.
struct Attention {
  std::optional<at::Tensor> q_scale, k_scale;  // [dim_head], both or none
  double scale = 1;
  std::int64_t kv_heads = 1;
  /// q [batch, heads, n, dim_head], k and v [batch, m, kv_dim] -> as q. mask: bool, true where visible, or
  /// what is added to the logits; it broadcasts to [batch, heads, n, m].
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const RotaryTables* rotary, const std::optional<at::Tensor>& mask) const;
  /// The parts of operator(): normalised where the layer does that, and rotated, `behind` positions before
  /// the window's end; keys then are [batch, kv_heads, m, dim_head]. attend() is what is left to do.
  at::Tensor ready_queries(const at::Tensor& q, const RotaryTables* rotary, std::int64_t behind = 0) const;
  at::Tensor ready_keys(const at::Tensor& k, const RotaryTables* rotary, std::int64_t behind = 0) const;
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const std::optional<at::Tensor>& mask) const;
};

/// Looks a parameter up by its whole name; throws std::invalid_argument where there is none.
using FindParameter = std::function<const at::Tensor&(const std::string& name)>;
LayerNorm make_norm(const std::string& prefix, const FindParameter& parameter);
Attention make_attention(const ModelConfig& config, const std::string& prefix, bool qk_rmsnorm,
                         const FindParameter& parameter);

}  // namespace unroll
