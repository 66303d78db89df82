// Threads for loops of some hundred microseconds. OpenMP's threads either spin while idle, and take CPU time
// from other programs, or sleep at once, and are late for the next loop; and each gets the same share,
// however busy its core is. These threads begin with equal shares, the same in each loop, so that what a core
// wrote is in its own cache. Then they take work from each other. When nothing is left, they spin for 50 us
// and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace unroll {

/// Owned and run by one thread, which takes part as thread 0.
class ThreadPool {
 public:
  /// `threads`: total number, 1 or more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(i, thread) for 0 <= i < count, each once, on any threads; returns when all are done. `work`
  /// must not throw or call run().
  template <typename Work>
  void run(std::int64_t count, const Work& work) {
    if (workers_.empty() || count <= 1 || count > kMostPieces) {
      for (std::int64_t i = 0; i < count; ++i) work(i, 0);
      return;
    }
    run_job({[](const void* context, std::int64_t i, int thread) {
               (*static_cast<const Work*>(context))(i, thread);
             },
             &work},
            count);
  }

 private:
  struct Job {
    void (*call)(const void* context, std::int64_t i, int thread);
    const void* context;
  };
  static constexpr std::int64_t kMostPieces = INT32_MAX;

  void run_job(Job job, std::int64_t count);
  void take_pieces(int thread);
  void work(int thread);

  /// A thread's share of the job: end and begin of the remaining pieces, 32 bits each in one word. A thread
  /// that takes a piece takes it from the current job, which cannot end before the piece is done.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> left{0};
  };
  std::vector<Share> shares_;
  std::atomic<std::uint32_t> done_{0};  ///< Pieces of it that are done.
  std::atomic<std::uint32_t> jobs_{0};  ///< Jobs begun; sleepers wait for it to change.
  std::atomic<bool> stop_{false};
  Job job_{};
  std::uint32_t count_ = 0;  ///< Pieces in the job.
  std::vector<std::thread> workers_;
};

}  // namespace unroll
