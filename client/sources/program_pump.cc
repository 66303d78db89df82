#include "client/sources/program_pump.h"

#include <array>
#include <cerrno>

#include <poll.h>

#include "client/cli/command_error.h"
#include "client/cli/running_program.h"

namespace unroll {

void ProgramPump::run(int pipe, int stop) {
  RunningProgram program(program_, arguments_, input_.get(), pipe);
  std::array<pollfd, 2> waited = {pollfd{program.descriptor(), POLLIN, 0}, pollfd{stop, POLLIN, 0}};
  while (::poll(waited.data(), waited.size(), -1) < 0 && errno == EINTR) {
  }
  if (waited[1].revents != 0) return;  // and it is killed
  try {
    program.wait();
  } catch (const CommandError& error) {
    throw CommandError(name_ + ": " + error.what());
  }
}

}  // namespace unroll
