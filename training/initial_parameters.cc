#include "training/initial_parameters.h"

#include <ATen/ATen.h>

#include "model/block_recurrent_transformer.h"

namespace unroll {
namespace {
constexpr double kEmbeddingDeviation = 0.05;
}  // namespace

TensorMap initial_parameters(const ModelConfig& config, double qk_scale) {
  auto parameters = random_parameters(config);
  for (auto& [name, tensor] : parameters) {
    if (name == "token_emb.weight") tensor.normal_(0, kEmbeddingDeviation);
    if (name.ends_with(".to_out.weight") || name.ends_with(".1.3.weight")) tensor.zero_();
    if (name.ends_with(".q_scale") || name.ends_with(".k_scale")) tensor.fill_(qk_scale);
  }
  return parameters;
}

}  // namespace unroll
