// One worker process: starts it, exchanges frames, and describes how it ended. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.h"
#include "plugins/host.h"
#include "plugins/worker/wire.h"

namespace unroll {

/// The command, permissions and limits of one library's workers.
struct WorkerSpec {
  std::filesystem::path library;
  std::filesystem::path root;  ///< The install prefix: root/libexec, root/lib, root/share.
  std::vector<std::string> command;
  std::filesystem::path hidden;  ///< Absolute, without symbolic links, or empty: see PluginOptions.
  std::uint32_t permissions = 0;
  std::uint64_t memory_bytes = 0;
  std::chrono::milliseconds deadline{0};  ///< For one call.
  std::function<void(std::string_view plugin, std::string_view reason, std::string_view text)>
      lost;                              ///< See PluginOptions.
  std::shared_ptr<WorkerCounts> counts;  ///< See PluginOptions.
};

/// The worker is lost. The text continues "plugin NAME: its worker ".
struct WorkerLost : std::runtime_error {
  enum class Cause {
    kItself,   ///< A crash, an exit or an invalid frame: caused by this call or an earlier one.
    kOutside,  ///< Killed from outside.
    kHung,     ///< Exceeded its time limit.
    kMemory,   ///< Exceeded its memory limit.
  };
  WorkerLost(Cause cause, const std::string& text, std::string words)
      : std::runtime_error(text), cause(cause), last_words(std::move(words)) {}
  Cause cause;
  std::string last_words;  ///< To append to the text; may contain a document's text.
};

class WorkerProcess {
 public:
  /// Starts it without waiting. Throws PluginError if it cannot be started.
  explicit WorkerProcess(const WorkerSpec& spec);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  /// Calls kill().
  ~WorkerProcess();

  /// Queues a frame, which receive() sends while it waits.
  void send(std::string frame, int descriptor = -1);
  /// The next frame; nullopt if none arrived within `time`. `function`: the plugin's function that is being
  /// called, for errors. Throws WorkerLost.
  std::optional<wire::Frame> receive(std::chrono::milliseconds time, const std::string& function);
  /// Whether it is usable between two calls: it runs and has sent nothing.
  bool is_quiet();
  /// Kill the worker because it did not return in time, or because it sent an invalid frame.
  WorkerLost hang(const std::string& function);
  WorkerLost garbage(const std::string& what, const std::string& function);
  /// Throws WorkerLost if it exceeds its memory limit.
  void check_memory(const std::string& function);
  /// Text to append to an error if it is near its memory limit; else empty.
  std::string memory_words() const;
  /// Its current private memory.
  std::uint64_t resident_bytes() const;
  pid_t pid() const { return pid_; }
  /// Kills it, and waits a moment for its end. A process that hangs in the kernel (a file system that does
  /// not answer) ends later or never.
  void kill();
  bool has_ended();

 private:
  struct Piece {
    std::string bytes;
    std::size_t sent;
    int descriptor;  // -1: none; sent with the first byte
  };

  bool send_some();   // false: the socket's buffer is full
  bool read_some();   // false: end of file
  bool read_words();  // true: received something
  WorkerLost end(const std::string& function);
  std::string last_words();

  std::uint64_t memory_limit_;
  std::chrono::milliseconds deadline_;
  pid_t pid_ = -1;  // -1 after waitpid()
  bool killed_ = false;
  UniqueFd socket_, words_, handle_, statistics_;
  std::deque<Piece> outgoing_;
  wire::FrameReader reader_;
  std::string said_;  // the end of its stdout and stderr
};

}  // namespace unroll
