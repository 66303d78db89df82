// One worker as the host sees it: started, spoken with, and how it ended, as text. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/unique_fd.h"
#include "plugins/worker/wire.h"

namespace unroll {

/// How the workers of one library are started, and what they may.
struct WorkerSpec {
  std::filesystem::path library;
  std::filesystem::path root;  ///< What is installed: root/libexec, root/lib, root/share.
  std::vector<std::string> command;
  std::filesystem::path hidden;  ///< Absolute, without symbolic links, or empty: see PluginOptions.
  std::uint32_t permissions = 0;
  std::uint64_t memory_bytes = 0;
  std::chrono::milliseconds deadline{0};  ///< Of one call.
  std::function<void(std::string_view plugin, std::string_view reason, std::string_view text)>
      lost;  ///< See PluginOptions.
};

/// The worker is of no more use. The text goes on behind "plugin NAME: its worker ".
struct WorkerLost : std::runtime_error {
  enum class Cause {
    kItself,   ///< A crash, an exit, garbage: it may be the worker's past, it may be the call.
    kOutside,  ///< Killed by somebody else, and not for what it did.
    kTooMuch,  ///< Time or memory.
  };
  WorkerLost(Cause cause, const std::string& text, std::string words)
      : std::runtime_error(text), cause(cause), last_words(std::move(words)) {}
  Cause cause;
  std::string last_words;  ///< For behind it; may hold a document's text.
};

class WorkerProcess {
 public:
  /// Starts it, without waiting for anything it does. Throws PluginError where it cannot be started.
  explicit WorkerProcess(const WorkerSpec& spec);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  /// Kills it.
  ~WorkerProcess();

  /// Takes a frame; sent while receive() waits, as the worker takes it.
  void send(std::string frame, int descriptor = -1);
  /// The next frame, or nullopt where none came in that time. `function`: which one of the plugin's is waited
  /// for. Throws WorkerLost.
  std::optional<wire::Frame> receive(std::chrono::milliseconds time, const std::string& function);
  /// Between two calls it says nothing and lives; anything else is of no more use.
  bool is_quiet();
  /// Kill it. What there is to say of one that did not return in time, or that sent garbage.
  WorkerLost hang(const std::string& function);
  WorkerLost garbage(const std::string& what, const std::string& function);
  /// Throws WorkerLost where it holds more than it may.
  void check_memory(const std::string& function);
  /// For the end of an error: that it is near its limit, where it is.
  std::string memory_words() const;
  /// Memory of its own, now.
  std::uint64_t resident_bytes() const;
  pid_t pid() const { return pid_; }

 private:
  struct Piece {
    std::string bytes;
    std::size_t sent;
    int descriptor;  // -1 none; goes with the first byte
  };

  bool send_some();   // false: the socket takes nothing now
  bool read_some();   // false: the end
  bool read_words();  // something came
  WorkerLost end(const std::string& function);
  std::string last_words();
  void kill();

  std::uint64_t memory_limit_;
  std::chrono::milliseconds deadline_;
  pid_t pid_ = -1;  // -1 when it was waited for
  UniqueFd socket_, words_, handle_, statistics_;
  std::deque<Piece> outgoing_;
  wire::FrameReader reader_;
  std::string said_;  // the last of its stdout and stderr
};

}  // namespace unroll
