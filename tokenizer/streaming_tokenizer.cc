#include <algorithm>

#include "tokenizer/tokenizer.h"

namespace unroll {

StreamingTokenizer::StreamingTokenizer(std::shared_ptr<const Vocabulary> vocabulary, std::uint64_t begin)
    : vocabulary_(std::move(vocabulary)), segment_begin_(begin) {}

void StreamingTokenizer::append(std::string_view bytes, std::vector<Token>& out) {
  // At most two segments are buffered, however much arrives at once.
  while (!bytes.empty()) {
    const auto taken = std::min(bytes.size(), 2 * kMaxSegmentBytes - pending_.size());
    pending_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    const auto done = vocabulary_->tokenize({pending_, segment_begin_, false}, out);
    pending_.erase(0, done);
    segment_begin_ += done;
  }
}

void StreamingTokenizer::finish(std::vector<Token>& out) {
  if (!pending_.empty()) segment_begin_ += vocabulary_->tokenize({pending_, segment_begin_, true}, out);
  pending_.clear();
}

}  // namespace unroll
