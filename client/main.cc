// `unroll`: what is asked of a daemon. Where the network is wanted in this process, `unroll-local`, which has
// all commands, takes its place: to load LibTorch takes a third of a second, and a hundred megabytes.
#include <cerrno>

#include "client/command_error.h"
#include "client/commands.h"
#include "client/reader.h"
#include "model/start_again.h"
#include "model/threads.h"
#include "plugins/program_prefix.h"

namespace unroll {
namespace {

[[noreturn]] void become_local() {
  const auto program = program_prefix() / "libexec/unroll/unroll-local";
  choose_wait_policy();
  run_instead(program);
  throw CommandError(system_message("cannot run " + program.string(), errno) + "; install unroll anew");
}

}  // namespace

std::unique_ptr<Reader> make_embedded_reader(const SharedOptions&, const std::filesystem::path&) {
  become_local();
}

}  // namespace unroll

int main(int argc, char** argv) {
  unroll::CommandLine line;
  unroll::add_client_commands(line);
  line.otherwise(unroll::become_local);
  return line.run(argc, argv);
}
