// Threads for work that may block, shared fairly by users. A thread is started when a job needs one, so jobs
// that hang take no thread from others until the maximum is reached; half of that is for users without
// another running job (base/fair_share.h). Waiting jobs are scheduled round-robin over users; those of users
// whose jobs hang can be refused.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace unroll {

class FairPool {
 public:
  using Job = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  FairPool(std::size_t most_threads, std::size_t most_per_owner);
  /// Calls join().
  ~FairPool();
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  /// Thread-safe. `job` must not throw. After join() it is dropped. `refuse` is called instead of it by
  /// refuse_stuck(); a job without it waits.
  void post(std::uint32_t owner, Job job, Job refuse = {});
  /// Thread-safe. Refuses the waiting jobs of users of whom no job has begun or ended for `patience`: either
  /// their own jobs hang, or all threads do.
  void refuse_stuck(std::chrono::milliseconds patience);
  /// Drops waiting jobs and returns when the running ones are done.
  void join();

 private:
  struct Waiting {
    Job job, refuse;
  };
  struct Owner {
    std::deque<Waiting> waiting;
    std::size_t at_work = 0;
    Clock::time_point moved{};  ///< When a job began or ended, or the first began to wait.
  };
  using Owners = std::map<std::uint32_t, Owner>;

  void work();
  Owners::iterator next_locked();
  void wake_locked();

  const std::size_t most_threads_, most_per_owner_;
  std::mutex mutex_;  // guards the members below
  std::condition_variable changed_;
  Owners owners_;                           ///< Users with a job.
  std::uint32_t last_ = 0;                  ///< The user served last.
  std::size_t at_work_ = 0, sleeping_ = 0;  ///< Threads.
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace unroll
