#include "client/follow/followed_pump.h"

namespace unroll {
namespace {

// More than the buffers between pump and model hold: the pipe's, the reader's, the engine's.
constexpr std::size_t kKeptBytes = 2 << 20;

}  // namespace

void RecentText::add(std::uint64_t offset, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (offset != begin_ + bytes_.size()) {
    bytes_.clear();
    begin_ = offset;
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  if (bytes_.size() <= kKeptBytes) return;
  const std::size_t surplus = bytes_.size() - kKeptBytes;
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(surplus));
  begin_ += surplus;
}

std::string RecentText::text(std::uint64_t begin, std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  if (begin < begin_ || end > begin_ + bytes_.size() || end < begin) return "";
  const auto first = bytes_.begin() + static_cast<std::ptrdiff_t>(begin - begin_);
  return {first, first + static_cast<std::ptrdiff_t>(end - begin)};
}

}  // namespace unroll
