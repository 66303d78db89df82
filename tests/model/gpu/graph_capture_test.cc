// A capture that fails at each of its steps leaves nothing behind, with the graph and allocators of LibTorch
// 2.11 and of later versions, which undo a part themselves. The graph and the device's allocator are written
// after LibTorch's, because they need a GPU; the allocator of pinned memory is LibTorch's own.
#include "model/gpu/graph_capture.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <ATen/core/CachingHostAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace unroll {
namespace {

using PinnedAllocator = at::CachingHostAllocatorImpl<c10::Stream, int>;

enum class Version { k2_11, kEndsAllocation, kReleases };
enum class Fails { kNothing, kWarmUp, kWait, kDevicePool, kPinnedPool, kStream, kWork, kEnd, kInstantiate };

class FakeGraph final : public CaptureSteps {
 public:
  FakeGraph(PinnedAllocator& allocator, Fails fails, Version version)
      : allocator_(allocator), fails_(fails), version_(version) {}

  /// Runs as the captured work.
  void work() {
    fail_at(capturing_ ? Fails::kWork : Fails::kWarmUp);
    ++runs_;
  }
  void wait() override { fail_at(Fails::kWait); }

  void begin() override {
    fail_at(Fails::kDevicePool);
    ++device_uses_;
    device_directed_ = true;
    fail_at(Fails::kPinnedPool);
    allocator_.begin_allocate_to_pool(kPool, [](c10::Stream) { return true; });
    fail_at(Fails::kStream);
    capturing_ = true;
  }

  void end() override {
    const bool was_capturing = capturing_;
    capturing_ = false;
    const bool wrong = !was_capturing || fails_ == Fails::kEnd;
    if (wrong && version_ == Version::k2_11) throw std::runtime_error("kEnd");
    end_allocation(Memory::kDevice);
    end_allocation(Memory::kPinned);
    if (wrong) throw std::runtime_error("kEnd");
    complete_ = true;
    fail_at(Fails::kInstantiate);
  }

  void reset() override {
    ++resets_;
    if (!complete_ && version_ != Version::kReleases) return;
    complete_ = false;
    if (device_uses_ == 0) return;
    release_pool(Memory::kDevice);
    release_pool(Memory::kPinned);
  }

  void end_allocation(Memory memory) override {
    if (memory == Memory::kPinned) return allocator_.end_allocate_to_pool(kPool);
    if (!device_directed_) throw std::runtime_error("not currently recording");
    device_directed_ = false;
  }
  bool holds_pool() override { return device_uses_ > 0; }
  void release_pool(Memory memory) override {
    if (memory == Memory::kPinned) {
      allocator_.release_pool(kPool);
      ++pinned_releases_;
      return;
    }
    --device_uses_;
  }

  void expect_nothing_left() {
    EXPECT_FALSE(capturing_);
    EXPECT_FALSE(device_directed_);
    EXPECT_EQ(device_uses_, 0);
    EXPECT_ANY_THROW(allocator_.end_allocate_to_pool(kPool)) << "pinned memory is allocated to the pool";
    const bool pinned_begun = fails_ >= Fails::kStream;
    EXPECT_EQ(pinned_releases_, pinned_begun ? 1 : 0);
  }
  int runs() const { return runs_; }
  int resets() const { return resets_; }
  bool complete() const { return complete_; }

 private:
  static constexpr c10::MempoolId_t kPool{0, 7};

  void fail_at(Fails step) const {
    if (fails_ == step) throw std::runtime_error("step " + std::to_string(static_cast<int>(step)));
  }

  PinnedAllocator& allocator_;
  const Fails fails_;
  const Version version_;
  bool device_directed_ = false, capturing_ = false, complete_ = false;
  int device_uses_ = 0, pinned_releases_ = 0, runs_ = 0, resets_ = 0;
};

class GraphCapture : public testing::TestWithParam<Version> {};

TEST_P(GraphCapture, LeavesNothingBehindWhereverItFails) {
  for (int step = static_cast<int>(Fails::kWarmUp); step <= static_cast<int>(Fails::kInstantiate); ++step) {
    SCOPED_TRACE(step);
    PinnedAllocator allocator;
    FakeGraph graph(allocator, static_cast<Fails>(step), GetParam());
    EXPECT_THROW(capture(graph, [&] { graph.work(); }), std::runtime_error);
    graph.expect_nothing_left();
    // The next one can be captured.
    FakeGraph next(allocator, Fails::kNothing, GetParam());
    if (step <
        static_cast<int>(Fails::kStream)) {  // as LibTorch's pools have new names, and this one has not
      capture(next, [&] { next.work(); });
      EXPECT_TRUE(next.complete());
    }
  }
}

TEST_P(GraphCapture, KeepsWhatSucceeds) {
  PinnedAllocator allocator;
  FakeGraph graph(allocator, Fails::kNothing, GetParam());
  capture(graph, [&] { graph.work(); });
  EXPECT_TRUE(graph.complete());
  EXPECT_TRUE(graph.holds_pool());
  EXPECT_EQ(graph.runs(), 2);
  EXPECT_EQ(graph.resets(), 0);
}

TEST_P(GraphCapture, ThrowsTheFirstError) {
  PinnedAllocator allocator;
  FakeGraph graph(allocator, Fails::kWork, GetParam());
  try {
    capture(graph, [&] { graph.work(); });
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), "step " + std::to_string(static_cast<int>(Fails::kWork)));
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, GraphCapture,
                         testing::Values(Version::k2_11, Version::kEndsAllocation, Version::kReleases));

/// Threads load models and record at the same time.
TEST(GraphCaptures, OneAtATimeInAProcess) {
  std::atomic<int> now = 0, most = 0;
  const auto record_some = [&] {
    for (int i = 0; i < 100; ++i) {
      PinnedAllocator allocator;
      FakeGraph graph(allocator, i % 3 == 0 ? Fails::kEnd : Fails::kNothing, Version::k2_11);
      const auto work = [&] {
        if (++now > most) most = now.load();
        for (int turn = 0; turn < 10; ++turn) std::this_thread::yield();
        --now;
      };
      try {
        capture(graph, work);
      } catch (const std::runtime_error&) {
      }
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(record_some);
  threads.clear();
  EXPECT_EQ(most, 1);
}

}  // namespace
}  // namespace unroll
