// The workers of one library. An instance takes a worker for one call and gives it back. The worker keeps the
// instance's object for the next call, but the host holds its state as well: a worker is a cache of instances
// and may be lost at any time. Thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/host.h"
#include "plugins/vocabulary.h"
#include "plugins/worker/worker_process.h"

namespace unroll {

/// A worker and the instances in it. Used only by the caller that took it from the pool.
struct Worker {
  Worker(const WorkerSpec& spec, std::uint64_t serial) : process(spec), serial(serial) {}

  bool holds(std::uint64_t instance) const {
    return std::ranges::find(instances, instance) != instances.end();
  }

  WorkerProcess process;
  const std::uint64_t serial;
  bool greeted = false;  ///< Its hello frame was received.
  bool knows_vocabulary = false;
  std::uint64_t calls = 0;                    ///< Completed calls.
  std::list<std::uint64_t> instances;         ///< Least recently used first.
  std::shared_ptr<const SharedMemory> arena;  ///< The arena that it has mapped.
};

/// The location of an instance's object. Numbers are never reused, so that it cannot refer to another
/// object.
struct WorkerHome {
  std::uint64_t worker = 0, instance = 0;  // 0: nowhere
};

class WorkerPool {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxWorkers = 4;
  static constexpr std::size_t kMaxInstances = 64;  ///< In one worker.
  static constexpr std::size_t kMostUndead = 4;     ///< Killed workers that do not end; then none is started.
  static constexpr std::chrono::seconds kStartTime{30};  ///< Long, because Python may import a lot.

  /// Starts the first worker without waiting for it. Throws PluginError.
  explicit WorkerPool(WorkerSpec spec);
  const WorkerSpec& spec() const { return spec_; }
  /// Waits for the first worker's hello and returns its plugins. Throws PluginError (refused, other ABI,
  /// invalid plugin).
  std::vector<PluginInfo> greet();
  /// Checks a later worker's first frame. Throws PluginError if it differs from the first worker's hello: the
  /// library has changed.
  void check_hello(const wire::Frame& frame) const;
  struct Plugin {
    PluginInfo info;
    bool saves;
  };
  /// A plugin returned by greet(); valid as long as the pool.
  const Plugin& plugin(const std::string& name) const { return plugins_.at(name); }

  /// A worker for a call, preferably the one at `home`; null if none was free until `until`. Starts another
  /// one if the caller has waited long (from `since`). Throws PluginError if it cannot be started.
  std::unique_ptr<Worker> take(const WorkerHome& home, Clock::time_point since, Clock::time_point until);
  /// A new worker, to replace one that was dropped.
  std::unique_ptr<Worker> take_new();
  void give_back(std::unique_ptr<Worker> worker);
  /// Ends a worker that is lost or must be killed.
  void drop(std::unique_ptr<Worker> worker);
  /// The object at `home` is no longer needed.
  void forget(const WorkerHome& home);
  std::uint64_t new_instance();

  /// Memory for a block, preferably the arena that this worker (may be null) has mapped.
  std::shared_ptr<const SharedMemory> take_arena(std::size_t bytes, const Worker* worker);
  void give_back(std::shared_ptr<const SharedMemory> arena);

  void set_vocabulary(std::shared_ptr<const PluginVocabulary> vocabulary);
  std::shared_ptr<const PluginVocabulary> vocabulary() const;

 private:
  std::unique_ptr<Worker> start();
  void retire(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> taken(std::unique_ptr<Worker> worker);
  static void destroy(Worker& worker, std::uint64_t instance);

  const WorkerSpec spec_;
  std::string hello_;  // the first worker's, unparsed; set before anything else runs
  std::map<std::string, Plugin> plugins_;

  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Worker>> free_;
  std::vector<std::unique_ptr<Worker>> undead_;  // killed; they hang in the kernel
  std::size_t alive_ = 0;                        // free or taken
  std::uint64_t last_serial_ = 0, last_instance_ = 0;
  std::map<std::uint64_t, std::vector<std::uint64_t>> forgotten_;  // instances by worker, if it is taken
  std::vector<std::shared_ptr<const SharedMemory>> arenas_;        // free
  std::shared_ptr<const PluginVocabulary> vocabulary_;
};

}  // namespace unroll
