#include "base/stop_signals.h"

#include <csignal>
#include <initializer_list>

namespace unroll {
namespace {
std::atomic<int> arrived{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler sets it");
}  // namespace

void stop_at_signals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { arrived = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

const std::atomic<int>& stop_signal() {
  return arrived;
}

}  // namespace unroll
