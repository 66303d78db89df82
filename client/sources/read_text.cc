#include "client/sources/read_text.h"

#include <algorithm>

namespace unroll {
namespace {

constexpr std::uint64_t kForgottenAtOnce = 1 << 20;

}  // namespace

void RecentText::add(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  text_ += bytes;
}

std::string RecentText::text(std::uint64_t begin, std::uint64_t end) const {
  const std::lock_guard lock(mutex_);
  begin = std::max(begin, begin_) - begin_;
  end = std::min<std::uint64_t>(std::max(end, begin_) - begin_, text_.size());
  return begin < end ? text_.substr(begin, end - begin) : "";
}

void RecentText::forget(std::uint64_t before) {
  const std::lock_guard lock(mutex_);
  forgotten_ = std::max(forgotten_, before);
  if (forgotten_ < begin_ + kForgottenAtOnce) return;
  const std::uint64_t bytes = std::min<std::uint64_t>(forgotten_ - begin_, text_.size());
  text_.erase(0, bytes);
  begin_ += bytes;
}

}  // namespace unroll
