// Which refused requests the log and the metrics tell of.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "daemon/events.h"

namespace unroll {

/// Those that a limit or the journal is the reason of, which the administrator can change. All others are
/// wrong by themselves.
inline void count_refusal(Events& events, const Error& error, std::uint32_t owner) {
  if (error.code == ErrorCode::kLimit || error.code == ErrorCode::kJournal) events.refused(error, owner);
}

}  // namespace unroll
