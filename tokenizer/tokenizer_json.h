// Loads tokenizer.json of the `tokenizers` package.
#pragma once

#include <filesystem>
#include <memory>

#include "tokenizer/tokenizer.h"

namespace unroll {

/// Supports byte-level BPE, and SentencePiece's BPE with byte pieces. The tokens that begin and end a text
/// come from the files beside it. Throws std::runtime_error that names the file, the problem, and what to do.
std::shared_ptr<const Vocabulary> load_tokenizer_json(const std::filesystem::path& file);

}  // namespace unroll
