// A checkpoint folder as a transformer that is ready to compute. Internal to model/.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/block_model.h"
#include "model/block_recurrent_transformer.h"

namespace unroll {

/// What a document's first token is predicted from. It is tokenizer.h's kBeginOfDocument; model/ does not
/// depend on that.
inline constexpr std::int32_t kFirstInput = 1;

/// As load_block_model() says. Sets the number of threads where the options name one.
BlockRecurrentTransformer load_transformer(const std::filesystem::path& directory,
                                           const ModelOptions& options);

}  // namespace unroll
