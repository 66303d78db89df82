// Ctrl-C and SIGTERM for commands that end in good order.
#pragma once

namespace unroll {

/// From now on the first signal only sets asked_to_stop(); a second one ends the process at once.
void stop_at_signals();
bool asked_to_stop();

}  // namespace unroll
