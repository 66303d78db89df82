// The workers of one library. An instance takes one for a call and gives it back; the worker keeps the
// instance's object, so that the next call finds it there, but the host holds its state as well: a worker is
// a cache of instances and can be lost at any moment. Any thread.
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

/// A worker and what the host knows to be in it. Whoever took it from the pool alone uses it.
struct Worker {
  Worker(const WorkerSpec& spec, std::uint64_t serial) : process(spec), serial(serial) {}

  bool holds(std::uint64_t instance) const {
    return std::ranges::find(instances, instance) != instances.end();
  }

  WorkerProcess process;
  const std::uint64_t serial;
  bool greeted = false;  ///< Its hello came.
  bool knows_vocabulary = false;
  std::uint64_t calls = 0;                    ///< That it returned from.
  std::list<std::uint64_t> instances;         ///< The one used longest ago first.
  std::shared_ptr<const SharedMemory> arena;  ///< That it has mapped.
};

/// Where an instance's object was left. Never used twice: what is there is what the host believes to be
/// there.
struct WorkerHome {
  std::uint64_t worker = 0, instance = 0;  // 0: nowhere
};

class WorkerPool {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxWorkers = 4;
  static constexpr std::size_t kMaxInstances = 64;       ///< In one worker.
  static constexpr std::chrono::seconds kStartTime{30};  ///< One in Python may import a lot.

  /// Starts the first worker, without waiting for it. Throws PluginError.
  explicit WorkerPool(WorkerSpec spec);
  const WorkerSpec& spec() const { return spec_; }
  /// The first worker's hello: its plugins. Throws PluginError (refused, other ABI, not what a plugin may
  /// be).
  std::vector<PluginInfo> greet();
  /// A later worker's first frame. Throws PluginError where it is not the first worker's hello: the library
  /// has changed.
  void check_hello(const wire::Frame& frame) const;
  struct Plugin {
    PluginInfo info;
    bool saves;
  };
  /// One of those that greet() gave; lives as long as the pool.
  const Plugin& plugin(const std::string& name) const { return plugins_.at(name); }

  /// A worker for a call, the one at `home` where it can be; null where none was free until then. Who waits
  /// since long (`since`) gets one more. Throws PluginError where none can be started.
  std::unique_ptr<Worker> take(const WorkerHome& home, Clock::time_point since, Clock::time_point until);
  /// One that has done nothing yet, in place of one that was dropped.
  std::unique_ptr<Worker> take_new();
  void give_back(std::unique_ptr<Worker> worker);
  /// It is lost, or must be.
  void drop(std::unique_ptr<Worker> worker);
  /// The object there is not needed any more.
  void forget(const WorkerHome& home);
  std::uint64_t new_instance();
  WorkerCounts counts() const;

  /// Memory for a block, best what this worker (may be null) has mapped.
  std::shared_ptr<const SharedMemory> take_arena(std::size_t bytes, const Worker* worker);
  void give_back(std::shared_ptr<const SharedMemory> arena);

  void set_vocabulary(std::shared_ptr<const PluginVocabulary> vocabulary);
  std::shared_ptr<const PluginVocabulary> vocabulary() const;

 private:
  std::unique_ptr<Worker> start();
  void let_go(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> taken(std::unique_ptr<Worker> worker);
  static void destroy(Worker& worker, std::uint64_t instance);

  const WorkerSpec spec_;
  std::string hello_;  // the first, as it came; set before anything else runs
  std::map<std::string, Plugin> plugins_;

  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Worker>> free_;
  std::size_t alive_ = 0;  // free or taken
  std::uint64_t last_serial_ = 0, last_instance_ = 0, lost_ = 0;
  std::map<std::uint64_t, std::vector<std::uint64_t>> forgotten_;  // of each worker that is taken
  std::vector<std::shared_ptr<const SharedMemory>> arenas_;        // free
  std::shared_ptr<const PluginVocabulary> vocabulary_;
};

}  // namespace unroll
