// What training begins with where no checkpoint is given.
#pragma once

#include "model/config.h"
#include "model/safetensors.h"

namespace unroll {

/// The reference's initialisation, but for what small models learn faster from: small embeddings, residual
/// branches that begin at zero, and normalised attention that can be sharp: with qk_scale 8 it is
/// q_scale * k_scale / sqrt(dim_head) = 8 with 64-wide heads, which is the scale that the reference means and
/// does not use. Drawn from LibTorch's default generator.
TensorMap initial_parameters(const ModelConfig& config, double qk_scale);

}  // namespace unroll
