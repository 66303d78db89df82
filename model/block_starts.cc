#include "model/block_starts.h"

#include <algorithm>
#include <utility>

namespace unroll {

BlockStarts::Found BlockStarts::find(const BlockInput& wanted) {
  const auto entry =
      std::ranges::find_if(entries_, [&](const auto& each) { return each.is_after(wanted.state); });
  if (entry == entries_.end()) return {};
  const auto& tokens = entry->block->tokens;
  const auto most = std::min(tokens.size(), wanted.tokens.size() - 1);
  const auto differs = std::mismatch(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(most),
                                     wanted.tokens.begin());
  const auto known = static_cast<std::size_t>(differs.first - tokens.begin());
  if (known == 0) return {};
  entries_.splice(entries_.begin(), entries_, entry);
  return {entry->block, known};
}

void BlockStarts::put(ReadBlock block) {
  const auto state = std::exchange(block.state, nullptr);
  entries_.remove_if([&](const auto& entry) { return entry.is_after(state); });
  entries_.push_front({state != nullptr, state, std::make_shared<const ReadBlock>(std::move(block))});
  if (entries_.size() > kMost) entries_.pop_back();
}

void BlockStarts::clean() {
  entries_.remove_if([](const auto& entry) { return entry.has_state && entry.state.expired(); });
}

}  // namespace unroll
