#include "client/reading/document_bytes.h"

#include <algorithm>

#include "client/cli/command_error.h"

namespace unroll {

void DocumentBytes::go_to(std::uint64_t offset) {
  if (!begun_) begin_ = source_.begin(offset);
  begun_ = true;
  if (offset < begin_) {
    throw CommandError(source_.name() + " would have to be read again from byte " + std::to_string(offset) +
                       " on, which is gone; run the command again");
  }
  position_ = offset;
}

std::optional<std::string> DocumentBytes::next(std::size_t limit) {
  if (position_ >= end() && !ended_) {
    // Kept bytes are dropped half at a time, so that each byte is moved about once.
    if (bytes_.size() >= 2 * kept_limit_) {
      const std::size_t dropped = bytes_.size() - std::min(kept_limit_, bytes_.size());
      bytes_.erase(0, dropped);
      begin_ += dropped;
    }
    const std::string read = source_.read(limit);
    ended_ = read.empty();
    bytes_ += read;
  }
  if (position_ < end()) {
    std::string bytes = bytes_.substr(static_cast<std::size_t>(position_ - begin_), limit);
    position_ += bytes.size();
    return bytes;
  }
  if (!ended_) return std::string();
  if (position_ > end())
    throw CommandError(source_.name() +
                       " is shorter than what was read of it before; read it again from the start");
  return std::nullopt;
}

}  // namespace unroll
