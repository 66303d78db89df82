// A checkpoint folder as a transformer that is ready to compute. Internal to model/.
#pragma once

#include <filesystem>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"

namespace unroll {

/// As load_block_model() says. Sets the number of threads where the options name one.
BlockRecurrentTransformer load_transformer(const std::filesystem::path& directory,
                                           const ModelOptions& options);

}  // namespace unroll
