#include "client/sources/pipe_pump.h"

#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include <poll.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"

namespace unroll {

void PipePump::run(int pipe, int stop) {
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    std::array<pollfd, 3> waited = {pollfd{source_.get(), POLLIN, 0}, pollfd{stop, POLLIN, 0},
                                    pollfd{pipe, 0, 0}};
    if (::poll(waited.data(), waited.size(), -1) < 0 && errno != EINTR)
      throw CommandError(system_message("cannot wait for " + name_, errno));
    if (waited[1].revents != 0 || waited[2].revents != 0) return;
    if (waited[0].revents == 0) continue;
    const ssize_t got = ::read(source_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    // A terminal whose other side is closed returns EIO: its end.
    if (got < 0 && errno != EIO) throw CommandError(system_message("cannot read " + name_, errno));
    if (got <= 0 || !write_all(pipe, {buffer.data(), static_cast<std::size_t>(got)})) return;
  }
}

}  // namespace unroll
