#include "client/sources/pump.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <sys/eventfd.h>

#include "client/cli/command_error.h"

namespace unroll {
namespace {

/// A write to a pipe without a reader must fail, not end the process (SIGPIPE).
void block_sigpipe() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

}  // namespace

PumpThread::PumpThread(std::unique_ptr<Pump> pump)
    : pump_(std::move(pump)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  std::array<int, 2> ends{};
  if (!stop_ || ::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw CommandError(system_message("cannot make a pipe", errno));
  read_end_ = UniqueFd(ends[0]);
  write_end_ = UniqueFd(ends[1]);
}

PumpThread::~PumpThread() {
  read_end_.reset();  // wakes a pump that is blocked in write()
  ::eventfd_write(stop_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

std::uint64_t PumpThread::begin(std::uint64_t from) {
  const std::uint64_t begin = pump_->begin(from);
  thread_ = std::thread(&PumpThread::run, this);
  return begin;
}

void PumpThread::run() {
  block_sigpipe();
  try {
    pump_->run(write_end_.get(), stop_.get());
  } catch (...) {
    error_ = std::current_exception();
  }
  write_end_.reset();  // the reader checks for an error after the end
}

void PumpThread::check_end() {
  if (thread_.joinable()) thread_.join();
  ended_ = true;
  if (error_) std::rethrow_exception(error_);
}

}  // namespace unroll
