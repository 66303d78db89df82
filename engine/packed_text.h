// Compressed text for the journal: outputs quote much of their document. Thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// Four bytes of length (little-endian) and a zlib stream. Nullopt if it would not be much smaller.
std::optional<std::vector<std::byte>> pack_text(std::string_view text);
/// Nullopt if the bytes are not from pack_text().
std::optional<std::string> unpack_text(std::span<const std::byte> bytes);

}  // namespace unroll
