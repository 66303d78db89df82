// Building blocks of the network's layers and of its recurrent cells: norms, projections, attention.
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
at::Tensor l2norm(const at::Tensor& x);                           // over the last dimension

/// Layer norm without bias; `beta` is a buffer of zeros that the reference keeps in its checkpoints.
struct LayerNorm {
  at::Tensor gamma, beta;  // [dim]
  at::Tensor operator()(const at::Tensor& x) const;
};

/// Softmax attention with one key/value head (multi-query) or one per query head, optionally with normalised
/// queries and keys.
struct Attention {
  std::optional<at::Tensor> q_scale, k_scale;  // [dim_head], both or none
  double scale = 1;
  std::int64_t kv_heads = 1;
  /// q [batch, heads, n, dim_head], k and v [batch, m, kv_dim] -> shape of q. `mask` is bool (true: visible)
  /// or a tensor that is added to the logits; it broadcasts to [batch, heads, n, m].
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const RotaryTables* rotary, const std::optional<at::Tensor>& mask) const;
  /// The steps of operator(): ready_queries() and the keys' counterpart normalise (if the layer does) and
  /// rotate positions that end `behind` positions before the window's end; attend() does the rest. Keys
  /// become [batch, kv_heads, m, dim_head].
  at::Tensor ready_queries(const at::Tensor& q, const RotaryTables* rotary, std::int64_t behind = 0) const;
  at::Tensor ready_keys(const at::Tensor& k, const RotaryTables* rotary, std::int64_t behind = 0) const;
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const std::optional<at::Tensor>& mask) const;
};

/// Finds a parameter by its full name; throws std::invalid_argument if there is none.
using FindParameter = std::function<const at::Tensor&(const std::string& name)>;
LayerNorm make_norm(const std::string& prefix, const FindParameter& parameter);
Attention make_attention(const ModelConfig& config, const std::string& prefix, bool qk_rmsnorm,
                         const FindParameter& parameter);

}  // namespace unroll
