#include "client/stop_signals.h"

#include <csignal>
#include <initializer_list>

namespace unroll {
namespace {
volatile std::sig_atomic_t asked = 0;
}  // namespace

void stop_at_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { asked = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

bool asked_to_stop() {
  return asked != 0;
}

}  // namespace unroll
