// The recurrence of a run that several processes share: checkpoints hold that of all lanes, each process that
// of its own.
#pragma once

#include <cstdint>

#include "model/recurrence.h"
#include "training/worker_group.h"

namespace unroll {

/// `count` lanes from `first` on. Does not support routed memory.
Recurrence lanes_of(const Recurrence& all, std::int64_t first, std::int64_t count);

/// All processes' lanes in order of rank, for the leader. Collective.
Recurrence gather_lanes(WorkerGroup& group, const Recurrence& own);

}  // namespace unroll
