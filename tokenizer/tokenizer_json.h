// tokenizer.json, as the `tokenizers` package writes it.
#pragma once

#include <filesystem>
#include <memory>

#include "tokenizer/tokenizer.h"

namespace unroll {

/// Byte-level BPE alone. Which tokens begin and end a text is looked up in the files beside it. Throws
/// std::runtime_error that names the file, what is wrong with it, and what to do.
std::shared_ptr<const Vocabulary> load_tokenizer_json(const std::filesystem::path& file);

}  // namespace unroll
