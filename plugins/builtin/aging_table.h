// A table of constant size from hashes to values. When full, it drops the entry that is least likely to
// recur.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "unroll/plugin.hpp"

namespace unroll::builtin {

/// Value has `std::uint32_t count`, the number of occurrences, and visit(archive). The table is saved after
/// every block.
template <class Value, std::size_t kMost>
class AgingTable {
 public:
  static constexpr std::size_t kCapacity = kMost;

  /// Valid until the next touch().
  const Value* find(std::uint64_t hash) const {
    const auto known = by_hash_.find(hash);
    return known == by_hash_.end() ? nullptr : &entries_[known->second].value;
  }
  /// The value to update; a default one if it is new. Valid until the next touch().
  Value& touch(std::uint64_t hash) {
    ++clock_;
    auto [known, is_new] = by_hash_.try_emplace(hash, entries_.size());
    if (is_new && entries_.size() < kMost) entries_.push_back({hash, clock_, {}});
    if (is_new && known->second == kMost) known->second = replace_one_by(hash);
    Entry& entry = entries_[known->second];
    entry.last = clock_;
    return entry.value;
  }

  void visit(auto& archive) {
    archive(clock_, entries_);
    if (!archive.kReads) return;
    if (entries_.size() > kMost) throw plugin::StateError("the saved state is damaged");
    by_hash_.clear();
    for (std::size_t i = 0; i < entries_.size(); ++i) by_hash_[entries_[i].hash] = i;
  }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t last = 0;  // last occurrence, by clock_
    Value value;
    void visit(auto& archive) { archive(hash, last, value); }
  };

  /// The entry that has been absent longest relative to its count: entries that occur once replace each
  /// other, not recurring ones.
  std::size_t replace_one_by(std::uint64_t hash) {
    std::size_t oldest = 0;
    double longest = -1;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const std::uint32_t away = clock_ - entries_[i].last;  // correct also if the clock has wrapped
      const double longer = static_cast<double>(away) / std::max(1u, entries_[i].value.count);
      if (longer > longest) {
        longest = longer;
        oldest = i;
      }
    }
    by_hash_.erase(entries_[oldest].hash);
    entries_[oldest] = {hash, clock_, {}};
    return oldest;
  }

  std::uint32_t clock_ = 0;
  std::vector<Entry> entries_;
  std::unordered_map<std::uint64_t, std::size_t> by_hash_;
};

}  // namespace unroll::builtin
