// How SentencePiece writes the pieces of its vocabularies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace unroll {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  ///< U+2581, which stands for a space.

/// The bytes that a piece represents.
std::string from_space_marks(std::string_view piece);

/// The piece of a byte: <0x0A>.
std::string byte_piece(std::uint8_t byte);

}  // namespace unroll
