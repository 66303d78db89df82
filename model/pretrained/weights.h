// Weights of a transformer of the Llama family (Llama, Mistral, Qwen2, Qwen3), as the checkpoint readers make
// them and the forms of the network take them. Plain data: tensors are shared, contiguous and read-only.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

namespace unroll {

/// y = weight x + bias.
struct PretrainedLinear {
  at::Tensor weight;  ///< [out, in] fp32 or bf16.
  at::Tensor bias;    ///< [out] fp32; undefined: none.
};

struct PretrainedLayer {
  at::Tensor attention_norm;  ///< [dim] fp32, RMSNorm's scale.
  PretrainedLinear q, k, v,
      o;  ///< [heads * head_dim, dim], [kv_heads * head_dim, dim] twice, [dim, heads * head_dim].
  at::Tensor q_norm, k_norm;  ///< [head_dim] fp32, RMSNorm's scale over each head (Qwen3); undefined: none.
  at::Tensor feed_forward_norm;     ///< [dim] fp32.
  PretrainedLinear gate, up, down;  ///< down(silu(gate(x)) * up(x)): [ff, dim] twice, [dim, ff].
};

struct PretrainedWeights {
  at::Tensor embedding;  ///< [num_tokens, dim] fp32 or bf16.
  std::vector<PretrainedLayer> layers;
  at::Tensor norm;    ///< [dim] fp32, before the output.
  at::Tensor output;  ///< [num_tokens, dim]; the same tensor as `embedding` if the two are tied.
};

}  // namespace unroll
