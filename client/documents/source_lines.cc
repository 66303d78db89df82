#include "client/documents/source_lines.h"

#include <algorithm>

namespace unroll {

std::uint64_t SourceLines::line_at(std::uint64_t offset) {
  constexpr std::uint64_t kPiece = std::uint64_t{64} << 10;
  const auto count = [&](std::uint64_t begin, std::uint64_t end) {
    const std::string bytes = source_.text(begin, end);
    return static_cast<std::uint64_t>(std::ranges::count(bytes, line_end_));
  };
  while (lines_before_.size() * kPiece <= offset) {
    const std::uint64_t begin = (lines_before_.size() - 1) * kPiece;
    lines_before_.push_back(lines_before_.back() + count(begin, begin + kPiece));
  }
  const std::uint64_t piece = offset / kPiece;
  return lines_before_[piece] + count(piece * kPiece, offset) + 1;
}

}  // namespace unroll
