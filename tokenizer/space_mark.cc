#include "tokenizer/space_mark.h"

namespace unroll {

std::string from_space_marks(std::string_view piece) {
  std::string bytes;
  while (!piece.empty()) {
    const bool mark = piece.starts_with(kSpaceMark);
    bytes += mark ? ' ' : piece.front();
    piece.remove_prefix(mark ? kSpaceMark.size() : 1);
  }
  return bytes;
}

std::string byte_piece(std::uint8_t byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4U], kDigits[byte & 15U], '>'};
}

}  // namespace unroll
