// Copies a descriptor that another process cannot read from (a terminal, a socket) into a pipe that it can.
#pragma once

#include <thread>

#include "daemon/unique_fd.h"

namespace unroll {

/// Copies on a thread of its own until the source ends, the pipe's reader goes away, or the pump is
/// destroyed.
class PipePump {
 public:
  /// Borrows `source`. Throws CommandError.
  explicit PipePump(int source);
  ~PipePump();
  PipePump(const PipePump&) = delete;
  PipePump& operator=(const PipePump&) = delete;

  int read_end() const { return read_end_.get(); }
  /// After the read end was handed over: so that the pump notices when its new owner closes it.
  void close_read_end() { read_end_.reset(); }

 private:
  static void copy(int source, UniqueFd write_end, int stop);

  UniqueFd read_end_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace unroll
