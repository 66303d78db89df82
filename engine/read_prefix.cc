#include "engine/read_prefix.h"

#include <algorithm>
#include <utility>

namespace unroll {
namespace {

constexpr auto kAdvice = "; resume it with the same bytes, or open a new document";

}  // namespace

std::string other_bytes(std::uint64_t bytes) {
  return "its first " + std::to_string(bytes) + " bytes are not those that were read before" + kAdvice;
}

std::string too_few_bytes(std::uint64_t bytes) {
  return "it is shorter than the " + std::to_string(bytes) + " bytes that were read before" + kAdvice;
}

void ReadPrefix::resume(const ResumePoint& point, PrefixDigest read, std::uint64_t begin) {
  begin_ = begin;
  end_ = point.segment_begin;
  if (end_ > 0) prefix_ = Sha256::load(point.prefix);
  read_ = std::move(read);
  if (prefix_ && !read_.sha256.empty() && read_.bytes > end_) {
    check_ = prefix_;
    unchecked_ = read_.bytes - end_;
  }
}

void ReadPrefix::take(std::string_view bytes) {
  if (check_) {
    const auto count = std::min<std::uint64_t>(unchecked_, bytes.size());
    check_->add(bytes.substr(0, static_cast<std::size_t>(count)));
    unchecked_ -= count;
    if (unchecked_ == 0) {
      if (check_->digest() != read_.sha256) throw other_bytes();
      check_.reset();
    }
  }
  if (prefix_) tail_ += bytes;
}

void ReadPrefix::end() const {
  if (check_) throw other_bytes();
}

Error ReadPrefix::other_bytes() const {
  return {ErrorCode::kSource, unroll::other_bytes(std::max(read_.bytes, begin_) - begin_)};
}

void ReadPrefix::advance(std::uint64_t segment_begin) {
  if (!prefix_ || segment_begin <= end_) return;
  const auto count = static_cast<std::size_t>(segment_begin - end_);
  prefix_->add(std::string_view(tail_).substr(0, count));
  tail_.erase(0, count);
  end_ = segment_begin;
}

PrefixDigest ReadPrefix::digest(std::uint64_t bytes) const {
  if (!prefix_ || bytes <= read_.bytes || bytes < end_) return read_;
  auto digest = *prefix_;
  digest.add(std::string_view(tail_).substr(0, bytes - end_));
  return {bytes, digest.digest()};
}

std::optional<PrefixDigest> ReadPrefix::all() const {
  if (!prefix_ || check_) return std::nullopt;
  auto digest = *prefix_;
  digest.add(tail_);
  return PrefixDigest{end_ + tail_.size(), digest.digest()};
}

std::vector<std::byte> ReadPrefix::save() const {
  return prefix_ ? prefix_->save() : std::vector<std::byte>();
}

}  // namespace unroll
