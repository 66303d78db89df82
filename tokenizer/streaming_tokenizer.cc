#include <algorithm>

#include "tokenizer/tokenizer.h"

namespace unroll {
namespace {

/// Where a line too long for one segment is cut; decided by its first kMaxSegmentBytes bytes alone, so that
/// how they arrived does not matter: before the last space of the second half (pieces begin with their
/// space), else before a character that the limit would cut in two.
std::size_t cut_of_long_line(std::string_view head) {
  const auto space = head.rfind(' ');
  if (space != std::string_view::npos && space >= kMaxSegmentBytes / 2) return space;
  for (std::size_t back = 1; back < 4; ++back) {
    const auto byte = static_cast<unsigned char>(head[head.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    return length > back ? head.size() - back : head.size();
  }
  return head.size();
}

/// Length of the first segment of `bytes`; 0 while that depends on bytes to come.
std::size_t first_segment(std::string_view bytes) {
  const auto head = bytes.substr(0, kMaxSegmentBytes);
  const auto newline = head.find('\n');
  if (newline != std::string_view::npos) return newline + 1;
  return head.size() == kMaxSegmentBytes ? cut_of_long_line(head) : 0;
}

}  // namespace

StreamingTokenizer::StreamingTokenizer(std::shared_ptr<const Vocabulary> vocabulary, std::uint64_t begin)
    : vocabulary_(std::move(vocabulary)), segment_begin_(begin) {}

void StreamingTokenizer::append(std::string_view bytes, std::vector<Token>& out) {
  // Never more than two segments are held, however much arrives at once.
  while (!bytes.empty()) {
    const auto taken = std::min(bytes.size(), 2 * kMaxSegmentBytes - pending_.size());
    pending_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    std::string_view rest = pending_;
    while (const auto length = first_segment(rest)) {
      emit_segment(rest.substr(0, length), out);
      rest.remove_prefix(length);
    }
    pending_.erase(0, pending_.size() - rest.size());
  }
}

void StreamingTokenizer::finish(std::vector<Token>& out) {
  if (!pending_.empty()) emit_segment(pending_, out);
  pending_.clear();
}

void StreamingTokenizer::emit_segment(std::string_view segment, std::vector<Token>& out) {
  ids_.clear();
  vocabulary_->encode_segment(segment, ids_);
  auto begin = segment_begin_;
  for (const auto id : ids_) {
    const auto length = static_cast<std::uint32_t>(vocabulary_->bytes(id).size());
    out.push_back({id, length, begin, segment_begin_});
    begin += length;
  }
  segment_begin_ += segment.size();
}

}  // namespace unroll
