// The vocabulary of a GGUF file.
#pragma once

#include <filesystem>
#include <memory>

#include "tokenizer/tokenizer.h"

namespace unroll {

/// Loads byte-level BPE (tokenizer.ggml.model gpt2) or SentencePiece's BPE (llama). Throws std::runtime_error
/// that names the file, the problem, and what to do.
std::shared_ptr<const Vocabulary> load_gguf_vocabulary(const std::filesystem::path& file);

}  // namespace unroll
