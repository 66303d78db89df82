// Reads a file as blocks of tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "tokenizer/tokenizer.h"

namespace unroll {

/// Calls `take` with each block of `width` tokens (the last may be shorter) and the file offset of its end;
/// if it returns false, reading ends. Does not hold the whole file. Returns the number of bytes read. Throws
/// std::runtime_error.
std::uint64_t for_each_block(
    const std::filesystem::path& file, std::shared_ptr<const Vocabulary> vocabulary, std::size_t width,
    const std::function<bool(std::span<const std::int32_t> tokens, std::uint64_t end)>& take);

}  // namespace unroll
