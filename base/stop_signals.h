// Ctrl-C and SIGTERM for commands that end in good order.
#pragma once

#include <atomic>

namespace unroll {

/// From now on the first signal only sets stop_signal(); a second one ends the process at once.
void stop_at_signals();
/// The signal that came; 0: none yet.
const std::atomic<int>& stop_signal();

}  // namespace unroll
