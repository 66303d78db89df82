// `unroll`: the commands that use a daemon. If the model must run in this process, `unroll-local`, which has
// all commands, replaces it: loading LibTorch takes a third of a second and a hundred megabytes.
#include <cstdlib>

#include "client/cli/commands.h"
#include "client/cli/private_program.h"
#include "client/reading/reader.h"

namespace unroll {
namespace {

/// Sets how long OpenMP's threads spin. By default they spin while they wait for each other; beside another
/// busy process this takes nearly all CPU time: 100 to 950 tokens per second were measured instead of 15,600.
/// A thread that sleeps at once is late for the next loop: spinning for 0.1 ms first gains 2 to 3 %. The
/// variable is read when the library is loaded. A value set by the user is kept.
void spin_only_briefly() {
  constexpr auto kPolicy = "OMP_WAIT_POLICY";
  if (std::getenv(kPolicy) == nullptr && ::setenv(kPolicy, "passive", 0) == 0)
    ::setenv("GOMP_SPINCOUNT", "10000", 0);
}

[[noreturn]] int become_local() {
  spin_only_briefly();
  become_program("unroll-local", own_arguments());
}

}  // namespace

}  // namespace unroll

int main(int argc, char** argv) {
  unroll::CommandLine line(
      [](const auto&, const auto&) -> std::unique_ptr<unroll::Reader> { unroll::become_local(); });
  unroll::add_client_commands(line);
  line.otherwise(unroll::become_local);
  return line.run(argc, argv);
}
