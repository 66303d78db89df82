#include "model/cpu/thread_pool.h"

#include <atomic>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace unroll {
namespace {

TEST(ThreadPool, EveryPieceOnceByAThreadOfItsOwn) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 100, 1000}) {
      std::vector<int> times(static_cast<std::size_t>(count));
      std::vector<std::int64_t> by_thread(
          static_cast<std::size_t>(threads));  // no lock: each thread has its own
      pool.run(count, [&](std::int64_t i, int thread) {
        ++times[static_cast<std::size_t>(i)];
        ++by_thread[static_cast<std::size_t>(thread)];
      });
      EXPECT_EQ(times, std::vector<int>(times.size(), 1)) << threads << ' ' << count;
      EXPECT_EQ(std::accumulate(by_thread.begin(), by_thread.end(), std::int64_t{0}), count);
    }
  }
}

/// Jobs of few pieces in quick succession: a late thread finds another job than the one it was woken for.
TEST(ThreadPool, ManySmallJobs) {
  ThreadPool pool(4);
  for (int job = 0; job < 20'000; ++job) {
    // Freed when the job is done: a sanitizer reports a thread that runs a piece of an old job.
    const auto sum = std::make_unique<std::atomic<int>>(0);
    pool.run(3 + job % 5, [&sum = *sum, job](std::int64_t i, int) { sum += job + static_cast<int>(i); });
    const auto count = 3 + job % 5;
    ASSERT_EQ(*sum, count * job + count * (count - 1) / 2) << job;
  }
}

TEST(ThreadPool, OthersTakeWhatASlowThreadLeaves) {
  ThreadPool pool(2);
  std::atomic<int> others{0};
  std::atomic<bool> done{false};
  pool.run(8, [&](std::int64_t i, int) {
    if (i == 0) {  // the first piece of thread 0's share ends only after all others have
      while (others != 7) std::this_thread::yield();
      done = true;
    } else {
      ++others;
    }
  });
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace unroll
