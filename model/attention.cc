#include "model/attention.h"

#include <cmath>

#include <ATen/ATen.h>

namespace unroll {
namespace {
constexpr double kLayerNormEpsilon = 1e-5;
constexpr double kLeastNorm = 1e-12;
constexpr double kReferenceRmsnormScale = 8;
}  // namespace

at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  if (x.scalar_type() == weight.scalar_type()) return at::linear(x, weight);
  return at::linear(x.to(weight.scalar_type()), weight).to(x.scalar_type());
}

at::Tensor split_heads(const at::Tensor& x, std::int64_t heads) {
  return x.unflatten(-1, {heads, -1}).transpose(1, 2);
}

at::Tensor merge_heads(const at::Tensor& x) {
  return x.transpose(1, 2).flatten(2);
}

at::Tensor l2norm(const at::Tensor& x) {
  return x / x.norm(2, -1, true).clamp_min(kLeastNorm);
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, gamma.sizes(), gamma, beta, kLayerNormEpsilon);
}

at::Tensor Attention::ready_queries(const at::Tensor& q, const RotaryTables* rotary,
                                    std::int64_t behind) const {
  const auto scaled = q_scale ? l2norm(q) * *q_scale : q;
  return rotary ? rotary->rotate_queries(scaled, behind) : scaled;
}

at::Tensor Attention::ready_keys(const at::Tensor& k, const RotaryTables* rotary, std::int64_t behind) const {
  const auto heads = split_heads(k, kv_heads);
  const auto scaled = k_scale ? l2norm(heads) * *k_scale : heads;
  return rotary ? rotary->rotate_keys(scaled, behind) : scaled;
}

at::Tensor Attention::operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const RotaryTables* rotary, const std::optional<at::Tensor>& mask) const {
  return attend(ready_queries(q, rotary), ready_keys(k, rotary), v, mask);
}

at::Tensor Attention::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const std::optional<at::Tensor>& mask) const {
  const auto expand = [&](const at::Tensor& x) {
    return x.expand({x.size(0), q.size(1), x.size(2), x.size(3)});
  };
  return at::scaled_dot_product_attention(q, expand(k), expand(split_heads(v, kv_heads)), mask, 0.0, false,
                                          scale);
}

LayerNorm make_norm(const std::string& prefix, const FindParameter& parameter) {
  return {parameter(prefix + "gamma"), parameter(prefix + "beta")};
}

Attention make_attention(const ModelConfig& config, const std::string& prefix, bool qk_rmsnorm,
                         const FindParameter& parameter) {
  Attention attention;
  attention.kv_heads = config.kv_dim() / config.dim_head;
  attention.scale = 1 / std::sqrt(static_cast<double>(config.dim_head));
  if (qk_rmsnorm) {
    attention.q_scale = parameter(prefix + "q_scale");
    attention.k_scale = parameter(prefix + "k_scale");
    if (config.apply_qk_rmsnorm_scale) attention.scale = kReferenceRmsnormScale;
  }
  return attention;
}

}  // namespace unroll
