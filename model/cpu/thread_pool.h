// Threads for loops of some hundred microseconds. OpenMP's either spin while there is nothing to do, and then
// take the machine from others, or sleep at once, and then are late for the next loop; and it gives each the
// same share, however busy its core is. These begin with equal shares, the same in each loop, so that what a
// core wrote is in its own cache, then take from each other; they spin for 50 us when there is nothing left,
// and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace unroll {

/// Owned, and run, by one thread, which takes part as thread 0.
class ThreadPool {
 public:
  /// `threads` in all, 1 or more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// work(i, thread) for 0 <= i < count, each once, on any threads at a time; returns when all are done.
  /// `work` must not throw, nor call run().
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

  /// A thread's share: end and begin of the pieces that are left of it, 32 bits each in one word. Whoever
  /// takes a piece takes it of the job that is there, which cannot end before the piece is done.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> left{0};
  };
  std::vector<Share> shares_;
  std::atomic<std::uint32_t> done_{0};  ///< Pieces that were done of it.
  std::atomic<std::uint32_t> jobs_{0};  ///< Begun; what sleepers wait for.
  std::atomic<bool> stop_{false};
  Job job_{};
  std::uint32_t count_ = 0;  ///< Pieces of the job.
  std::vector<std::thread> workers_;
};

}  // namespace unroll
