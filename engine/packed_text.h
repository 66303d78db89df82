// Text in fewer bytes, for the journal: outputs quote much of what they are about. Any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unroll {

/// Four bytes of length, the lowest first, and a zlib stream. Nullopt: it would not be much smaller.
std::optional<std::vector<std::byte>> pack_text(std::string_view text);
/// Nullopt: the bytes are not those of pack_text().
std::optional<std::string> unpack_text(std::span<const std::byte> bytes);

}  // namespace unroll
