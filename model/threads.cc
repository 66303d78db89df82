#include "model/threads.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "model/start_again.h"

namespace unroll {

bool choose_wait_policy() {
  constexpr auto kPolicy = "OMP_WAIT_POLICY";
  return std::getenv(kPolicy) == nullptr && ::setenv(kPolicy, "passive", 0) == 0 &&
         ::setenv("GOMP_SPINCOUNT", "10000", 0) == 0;
}

void spin_only_briefly() {
  if (!choose_wait_policy()) return;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) run_instead(program);
}

}  // namespace unroll
