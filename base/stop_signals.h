// Lets commands stop cleanly on Ctrl-C and SIGTERM.
#pragma once

#include <atomic>

namespace unroll {

/// Installs handlers: the first signal only sets stop_signal(); a second one ends the process at once.
void stop_at_signals();
/// The signal received; 0 if none yet.
const std::atomic<int>& stop_signal();

}  // namespace unroll
