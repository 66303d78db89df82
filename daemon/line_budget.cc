#include "daemon/line_budget.h"

#include "daemon/connection.h"

namespace unroll {

LineBudget::Share LineBudget::ask(std::uint32_t owner, const std::shared_ptr<Connection>& connection) {
  Owner& entry = owners_[owner];
  if (entry.taken < shares_) {
    ++entry.taken;
    return {shared_from_this(), owner};
  }
  entry.waiting[connection.get()] = connection;
  return {};
}

/// Signals every waiting connection: a single one might have closed, and the share would be lost.
void LineBudget::give_back(std::uint32_t owner) {
  const auto entry = owners_.find(owner);
  const auto waiting = std::move(entry->second.waiting);
  entry->second.waiting.clear();
  if (--entry->second.taken == 0) owners_.erase(entry);
  for (const auto& [key, weak] : waiting) {
    if (const auto connection = weak.lock()) connection->signal();
  }
}

}  // namespace unroll
