#include "model/cpu/thread_pool.h"

#include <chrono>

namespace unroll {
namespace {

constexpr auto kSpin = std::chrono::microseconds(50);

/// Tells the CPU that this thread spins.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // longer than `yield`, which most cores ignore
#endif
}

/// Waits until `value` is no longer `old`: spins first, then sleeps.
void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 16; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) : shares_(static_cast<std::size_t>(threads)) {
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  jobs_.fetch_add(1);
  jobs_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run_job(Job job, std::int64_t count) {
  job_ = job;
  count_ = static_cast<std::uint32_t>(count);
  done_.store(0, std::memory_order_relaxed);
  const auto share = [&](std::size_t thread) {
    return static_cast<std::uint64_t>(count) * thread / shares_.size();
  };
  for (std::size_t i = 0; i < shares_.size(); ++i)
    shares_[i].left.store(share(i + 1) << 32 | share(i), std::memory_order_release);
  jobs_.fetch_add(1, std::memory_order_release);
  jobs_.notify_all();
  take_pieces(0);
  for (auto done = done_.load(std::memory_order_acquire); done != count_;
       done = done_.load(std::memory_order_acquire))
    wait_for_change(done_, done);
}

void ThreadPool::take_pieces(int thread) {
  for (std::size_t i = 0; i < shares_.size(); ++i) {  // its own share, then the others'
    auto& left = shares_[(static_cast<std::size_t>(thread) + i) % shares_.size()].left;
    auto pieces = left.load(std::memory_order_acquire);
    for (;;) {
      const auto end = pieces >> 32, begin = pieces & UINT32_MAX;
      if (begin == end) break;
      if (!left.compare_exchange_weak(pieces, pieces + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
        continue;
      const auto count = count_;  // after this piece is done, count_ may belong to another job
      job_.call(job_.context, static_cast<std::int64_t>(begin), thread);
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) done_.notify_one();
      pieces = left.load(std::memory_order_acquire);
    }
  }
}

void ThreadPool::work(int thread) {
  for (std::uint32_t seen = 0;;) {
    wait_for_change(jobs_, seen);
    seen = jobs_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    take_pieces(thread);
  }
}

}  // namespace unroll
