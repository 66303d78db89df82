// `unroll`: what is asked of a daemon. Where the network is wanted in this process, `unroll-local`, which has
// all commands, takes its place: to load LibTorch takes a third of a second, and a hundred megabytes.
#include <cstdlib>

#include "client/cli/commands.h"
#include "client/cli/private_program.h"
#include "client/reading/reader.h"

namespace unroll {
namespace {

/// By default the threads of LibTorch's OpenMP spin while they wait for each other, and beside any other busy
/// process that takes nearly all of the machine's time: 100 to 950 tokens a second were measured instead of
/// 15,600. A thread that sleeps at once, though, is late for the next loop: spinning for a tenth of a
/// millisecond first is worth 2 to 3 %. It is read when the library is loaded. What the user chose stays.
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
