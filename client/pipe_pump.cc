#include "client/pipe_pump.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "client/command_error.h"

namespace unroll {
namespace {

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// A write into a pipe that nobody reads is to fail, not to end the process.
void block_sigpipe() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

PipePump::PipePump(int source) : stop_(::eventfd(0, EFD_CLOEXEC)) {
  std::array<int, 2> ends{};
  if (!stop_ || ::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw CommandError(system_message("cannot make a pipe", errno));
  read_end_ = UniqueFd(ends[0]);
  thread_ = std::thread(&PipePump::copy, source, UniqueFd(ends[1]), stop_.get());
}

PipePump::~PipePump() {
  read_end_.reset();
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void PipePump::copy(int source, UniqueFd write_end, int stop) {
  block_sigpipe();
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    std::array<pollfd, 3> waited = {pollfd{source, POLLIN, 0}, pollfd{stop, POLLIN, 0},
                                    pollfd{write_end.get(), 0, 0}};
    if (::poll(waited.data(), waited.size(), -1) < 0 && errno != EINTR) return;
    if (waited[1].revents != 0 || waited[2].revents != 0) return;
    if (waited[0].revents == 0) continue;
    const ssize_t got = ::read(source, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || !write_all(write_end.get(), {buffer.data(), static_cast<std::size_t>(got)})) return;
  }
}

}  // namespace unroll
