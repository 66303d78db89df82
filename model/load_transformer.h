// A checkpoint folder as a transformer that is ready to compute. Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/cpu/packed_matrix.h"

namespace unroll {

/// The CPU, or the GPU where that is asked for, or `auto` and there. Throws std::runtime_error with the
/// reason why not.
at::Device choose_device(const std::string& name);

/// fp32, bf16 or int8: what the options name, or what `auto` comes to on this CPU. Throws std::runtime_error.
/// `stored_in_int8`: the weights are, and can be multiplied as that.
std::string choose_dtype(const ModelOptions& options, bool stored_in_int8 = false);

/// What such a dtype is computed in.
Arithmetic arithmetic_of(const std::string& dtype);

/// As load_block_model() says, in fp32 or bf16. Sets the number of threads where the options name one.
BlockRecurrentTransformer load_transformer(const std::filesystem::path& directory,
                                           const ModelOptions& options);

}  // namespace unroll
