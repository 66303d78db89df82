// Follows several sources in one process: those that were named, and the files that match patterns while it
// runs.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "client/follow/following.h"

namespace unroll {

/// Each source has a thread, a document, and a state of its own. They share a reader's model, standard
/// output, and where events are delivered to. Not thread-safe.
class FollowAll {
 public:
  /// Borrows `options`.
  explicit FollowAll(const FollowOptions& options) : options_(options) {}
  /// Returns after a signal. Throws what ended the only source, or the last one of several.
  void run();

 private:
  using Clock = std::chrono::steady_clock;
  /// A source, and the thread that reads it.
  struct Running {
    FollowSource source;
    std::unique_ptr<Following> following;
    std::thread thread;
    std::atomic<bool> ended = false;
    std::exception_ptr error;  ///< What it ended with; written before `ended`.
    Clock::time_point again;   ///< When it is tried again after an error.

    bool is_over() const { return !thread.joinable() && !error; }
    bool has_failed() const { return !thread.joinable() && error; }
  };

  bool has_several() const;
  Running& add(FollowSource source, bool at_start);
  void add_named();
  void add_matches(bool at_start);
  void take_state(Running& running);
  void start(Running& running);
  void look_after(Running& running);
  void forget_if_due();
  bool all_failed() const;
  void stop_all();

  const FollowOptions& options_;
  FollowShared shared_;
  std::optional<FollowMemory> memory_;  ///< Of what several sources share.
  std::unique_ptr<Reader> reader_;
  std::map<std::string, std::unique_ptr<Running>> running_;  ///< By name.
  bool told_of_too_many_ = false;
  Clock::time_point forgets_at_;  ///< What is kept of files that are gone.
};

}  // namespace unroll
