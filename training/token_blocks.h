// A file as blocks of tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "tokenizer/tokenizer.h"

namespace unroll {

/// Calls `take` with each block of `width` tokens, the last one shorter, and with where it ends (byte of the
/// file); false ends the reading there. Never holds the file whole. Returns the bytes that were read. Throws
/// std::runtime_error.
std::uint64_t for_each_block(
    const std::filesystem::path& file, std::shared_ptr<const Vocabulary> vocabulary, std::size_t width,
    const std::function<bool(std::span<const std::int32_t> tokens, std::uint64_t end)>& take);

}  // namespace unroll
