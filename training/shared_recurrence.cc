#include "training/shared_recurrence.h"

#include <ATen/ATen.h>

namespace unroll {

Recurrence lanes_of(const Recurrence& all, std::int64_t first, std::int64_t count) {
  Recurrence own;
  for (const auto& memory : all.memories) own.memories.push_back(memory.narrow(1, first, count).contiguous());
  for (const auto& state : all.states) own.states.push_back(state.narrow(0, first, count).contiguous());
  if (all.memories_visible.defined())
    own.memories_visible = all.memories_visible.narrow(0, first, count).contiguous();
  return own;
}

Recurrence gather_lanes(WorkerGroup& group, const Recurrence& own) {
  Recurrence all;
  for (const auto& memory : own.memories) all.memories.push_back(group.gather(memory, 1));
  for (const auto& state : own.states) all.states.push_back(group.gather(state, 0));
  if (own.memories.empty()) return all;
  // Undefined means that all are visible; processes may differ in this.
  const auto& memory = own.memories.front();
  const auto mine = own.memories_visible.defined()
                        ? own.memories_visible
                        : at::ones({memory.size(1), memory.size(2)}, memory.options().dtype(at::kBool));
  const auto visible = group.gather(mine.to(at::kByte), 0).to(at::kBool);
  if (!visible.all().item<bool>()) all.memories_visible = visible;
  return all;
}

}  // namespace unroll
