#include "engine/usage.h"

#include <algorithm>
#include <string>

#include "base/fair_share.h"

namespace unroll {
namespace {

[[noreturn]] void refuse(std::uint64_t limit, const char* what, const char* key) {
  throw LimitError(what, key, limit, "wait until a document is done, or cancel one");
}

void check(std::uint64_t wanted, std::uint64_t limit, const char* what, const char* key) {
  if (wanted > limit) refuse(limit, what, key);
}

}  // namespace

void UsageByOwner::open(std::uint32_t owner, std::uint64_t state_bytes) {
  const std::lock_guard lock(mutex_);
  const auto own = of(owner);
  const auto fixed = kDocumentBytes + state_bytes;
  const auto& limits = options_;
  if (!is_fair_share(own.documents + 1, all_.documents + 1, limits.max_documents))
    refuse(limits.max_documents, "too many documents are open", "limits.documents");
  check(own.documents + 1, limits.max_documents_per_owner, "too many of your documents are open",
        "limits.documents_per_user");
  check_buffered(own, 0);
  check(all_.buffered + all_.fixed + fixed, limits.max_memory_bytes,
        "the open documents take too much memory", "limits.memory_bytes");
  check(own.buffered + own.fixed + fixed, limits.max_memory_bytes_per_owner,
        "your open documents take too much memory", "limits.memory_bytes_per_user");
  for (auto* usage : {&all_, &owners_[owner]}) {
    ++usage->documents;
    usage->fixed += fixed;
  }
}

void UsageByOwner::close(std::uint32_t owner, std::uint64_t state_bytes) {
  const std::lock_guard lock(mutex_);
  for (auto* usage : {&all_, &owners_[owner]}) {
    --usage->documents;
    usage->fixed -= kDocumentBytes + state_bytes;
  }
  forget_idle(owner);
}

/// A snapshot's state may be in memory a little longer than the documents that go on from it.
void UsageByOwner::forget_idle(std::uint32_t owner) {
  const auto found = owners_.find(owner);
  if (found != owners_.end() && found->second.documents == 0 && found->second.memory() == 0)
    owners_.erase(found);
}

void UsageByOwner::add_buffered(std::uint32_t owner, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  for (auto* usage : {&all_, &owners_[owner]}) usage->buffered += static_cast<std::uint64_t>(bytes);
  forget_idle(owner);
}

void UsageByOwner::reserve_buffered(std::uint32_t owner, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  check_buffered(of(owner), bytes);
  for (auto* usage : {&all_, &owners_[owner]}) usage->buffered += bytes;
}

void UsageByOwner::check_buffered(const Usage& own, std::uint64_t more) const {
  if (!is_fair_share(own.buffered + more, all_.buffered + more, options_.max_buffered_bytes))
    refuse(options_.max_buffered_bytes, "too many bytes wait to be read", "limits.buffered_bytes");
  check(own.buffered + more, options_.max_buffered_bytes_per_owner, "too many of your bytes wait to be read",
        "limits.buffered_bytes_per_user");
}

void UsageByOwner::add_resident(std::uint32_t owner, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  for (auto* usage : {&all_, &owners_[owner]}) usage->resident += static_cast<std::uint64_t>(bytes);
  forget_idle(owner);
}

bool UsageByOwner::buffers_full(std::uint32_t owner) const {
  const std::lock_guard lock(mutex_);
  const auto own = of(owner).buffered;
  return !is_fair_share(own, all_.buffered, options_.max_buffered_bytes) ||
         own > options_.max_buffered_bytes_per_owner;
}

bool UsageByOwner::over_memory() const {
  const std::lock_guard lock(mutex_);
  return all_.memory() > options_.max_memory_bytes || std::ranges::any_of(owners_, [&](const auto& entry) {
           return entry.second.memory() > options_.max_memory_bytes_per_owner;
         });
}

bool UsageByOwner::over_total_memory() const {
  const std::lock_guard lock(mutex_);
  return all_.memory() > options_.max_memory_bytes;
}

bool UsageByOwner::over_memory(std::uint32_t owner) const {
  const std::lock_guard lock(mutex_);
  return all_.memory() > options_.max_memory_bytes ||
         of(owner).memory() > options_.max_memory_bytes_per_owner;
}

UsageByOwner::Excess UsageByOwner::excess(std::uint32_t owner) const {
  const std::lock_guard lock(mutex_);
  const auto above = [](std::uint64_t taken, std::uint64_t limit) {
    const auto most = limit - limit / 8;
    return taken > most ? taken - most : 0;
  };
  return {above(all_.memory(), options_.max_memory_bytes),
          above(of(owner).memory(), options_.max_memory_bytes_per_owner)};
}

Usage UsageByOwner::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

Usage UsageByOwner::of(std::uint32_t owner) const {
  const auto found = owners_.find(owner);
  return found == owners_.end() ? Usage() : found->second;
}

}  // namespace unroll
