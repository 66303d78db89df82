// What makes a document's bytes while they are read, where they do not simply lie in a file.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"

namespace unroll {

/// Makes a document's bytes on a thread of its own: decompresses, follows a log, copies a terminal.
class Pump {
 public:
  virtual ~Pump() = default;
  /// Where run() will begin: a document offset, `from` or before it. Called once, before run(). Throws
  /// CommandError.
  virtual std::uint64_t begin(std::uint64_t from) = 0;
  /// Writes the document's bytes from there into `pipe` until its end, or until `stop` becomes readable or
  /// the pipe's reader is gone. Throws CommandError: the document fails with it.
  virtual void run(int pipe, int stop) = 0;
};

/// For run(): writes all of it; false where the pipe's reader is gone, which is the time to return.
bool write_to_pipe(int pipe, std::string_view bytes);

/// A pump at work, and the end of its pipe to read from.
class PumpThread {
 public:
  explicit PumpThread(std::unique_ptr<Pump> pump);
  /// Stops the pump.
  ~PumpThread();
  PumpThread(const PumpThread&) = delete;
  PumpThread& operator=(const PumpThread&) = delete;

  std::uint64_t begin(std::uint64_t from);
  bool begun() const { return thread_.joinable() || ended_; }
  int descriptor() const { return read_end_.get(); }
  /// Behind the pipe's last byte: returns where the document ended there, and throws what the pump threw.
  void check_end();

 private:
  void run();

  std::unique_ptr<Pump> pump_;
  UniqueFd read_end_, write_end_, stop_;
  std::exception_ptr error_;  ///< The thread's, until it is joined.
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace unroll
