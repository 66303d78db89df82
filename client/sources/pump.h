// Pumps: produce a document's bytes if they are not simply in a file.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"

namespace unroll {

/// Produces a document's bytes on a thread of its own: decompresses, follows a log, copies a terminal.
class Pump {
 public:
  virtual ~Pump() = default;
  /// Returns the document offset at which run() will begin, at or before `from`. Called once, before run().
  /// Throws CommandError.
  virtual std::uint64_t begin(std::uint64_t from) = 0;
  /// Writes the document's bytes from there to `pipe` until the document's end, until `stop` is readable, or
  /// until the pipe's reader is gone. Throws CommandError: the document then fails with it.
  virtual void run(int pipe, int stop) = 0;
};

/// A running pump and the read end of its pipe.
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
  /// Call after the pipe's last byte: returns if the document ended there; rethrows what the pump threw.
  void check_end();

 private:
  void run();

  std::unique_ptr<Pump> pump_;
  UniqueFd read_end_, write_end_, stop_;
  std::exception_ptr error_;  ///< Written by the thread; read after joining it.
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace unroll
