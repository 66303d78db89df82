// A thread pool for slow work, shared fairly by users: each user has a limited number of running jobs, and
// waiting jobs are scheduled round-robin over users.
#pragma once

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

  FairPool(std::size_t threads, std::size_t most_per_owner);
  /// Calls join().
  ~FairPool();
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  /// Thread-safe. `job` must not throw. After join() it is dropped.
  void post(std::uint32_t owner, Job job);
  /// Drops waiting jobs and returns when the running ones are done.
  void join();

 private:
  struct Owner {
    std::deque<Job> waiting;
    std::size_t at_work = 0;
  };

  void work();
  bool take_locked(std::uint32_t& owner, Job& job);

  const std::size_t most_per_owner_;
  std::mutex mutex_;  // guards the members below, except threads_
  std::condition_variable changed_;
  std::map<std::uint32_t, Owner> owners_;  ///< Users with a job.
  std::uint32_t last_ = 0;                 ///< The user served last.
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace unroll
