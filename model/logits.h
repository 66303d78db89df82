// `unroll logits`: a model's logits for given tokens, for comparison with other implementations.
#pragma once

#include <filesystem>

#include "model/block_model.h"

namespace unroll {

/// Reads `tokens` int64 [batch, length] from the safetensors file `tokens_file`, runs them block by block
/// through the checkpoint at `model` from a document's start, and writes to `out_file`: `logits` fp32 [batch,
/// length, num_tokens]; and, after the last full block if there is one, `memories.I` for each layer [2,
/// batch, positions, kv_dim] and `states.I` for each recurrent layer [batch, num_state_vectors, dim]. Throws
/// std::runtime_error that names the file and the problem.
void write_logits(const std::filesystem::path& model, const std::filesystem::path& tokens_file,
                  const std::filesystem::path& out_file, const ModelOptions& options);

}  // namespace unroll
