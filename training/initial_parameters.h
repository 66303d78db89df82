// The initial parameters of training without a checkpoint.
#pragma once

#include "model/config.h"
#include "model/safetensors.h"

namespace unroll {

/// The reference's initialisation with changes that make small models learn faster: small embeddings,
/// residual branches that start at zero, and sharper normalised attention (with qk_scale 8,
/// q_scale * k_scale / sqrt(dim_head) = 8 for 64-wide heads: the scale that the reference intends but does
/// not use). Drawn from LibTorch's default generator.
TensorMap initial_parameters(const ModelConfig& config, double qk_scale);

}  // namespace unroll
