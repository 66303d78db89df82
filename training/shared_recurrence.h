// The carried recurrence of a run that several processes share: all lanes' in checkpoints, its own in each
// process.
#pragma once

#include <cstdint>

#include "model/recurrence.h"
#include "training/worker_group.h"

namespace unroll {

/// `count` lanes from `first` on. Not of routed memory.
Recurrence lanes_of(const Recurrence& all, std::int64_t first, std::int64_t count);

/// All processes' lanes in order of rank, for the leader. Collective.
Recurrence gather_lanes(WorkerGroup& group, const Recurrence& own);

}  // namespace unroll
