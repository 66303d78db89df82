// Threads for work that takes its time, shared alike by users: each user has at most so many jobs at work,
// the others of theirs wait, and users take turns.
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
  /// As join().
  ~FairPool();
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;

  /// Any thread. `job` must not throw. After join() it is dropped.
  void post(std::uint32_t owner, Job job);
  /// Drops what waits and returns when what is at work is done.
  void join();

 private:
  struct Owner {
    std::deque<Job> waiting;
    std::size_t at_work = 0;
  };

  void work();
  bool take_locked(std::uint32_t& owner, Job& job);

  const std::size_t most_per_owner_;
  std::mutex mutex_;  // guards what follows, but for threads_
  std::condition_variable changed_;
  std::map<std::uint32_t, Owner> owners_;  ///< Those with a job.
  std::uint32_t last_ = 0;                 ///< Whose turn it was.
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace unroll
