// Loads a checkpoint folder as a transformer that is ready to compute. Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"
#include "model/cpu/packed_matrix.h"

namespace unroll {

/// The CPU; or the GPU if it is asked for, or for `auto` if there is one. Throws std::runtime_error with the
/// reason if the device is not available.
at::Device choose_device(const std::string& name);

/// fp32, bf16 or int8: the options' type, or what `auto` selects on this CPU. Throws std::runtime_error.
/// `stored_in_int8`: the weights are int8 and can be multiplied as such.
std::string choose_dtype(const ModelOptions& options, bool stored_in_int8 = false);

/// The arithmetic for such a dtype.
Arithmetic arithmetic_of(const std::string& dtype);

/// As load_block_model(), in fp32 whatever the options' dtype. Sets the number of threads if the options name
/// one.
BlockRecurrentTransformer load_transformer(const std::filesystem::path& directory,
                                           const ModelOptions& options);

}  // namespace unroll
