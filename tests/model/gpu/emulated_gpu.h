// Emulates a GPU with this process's threads, one block at a time: the CUDA names that
// model/gpu/thread_groups.h uses. Include it before that. As on a GPU, a shuffle in which not all of its
// threads take part may hang.
#pragma once

#include <algorithm>
#include <array>
#include <barrier>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace unroll::emulated {

struct Index {
  unsigned x = 0, y = 0;
};

/// The running block.
class Block {
 public:
  explicit Block(int threads) : all_(threads), warps_(static_cast<std::size_t>(threads) / 32) {}
  void wait() { all_.arrive_and_wait(); }

  float shuffle(unsigned thread, unsigned mask, float value, unsigned distance) {
    const unsigned lane = thread % 32, from = lane ^ distance;
    EXPECT_TRUE((mask >> lane & 1U) && (mask >> from & 1U)) << "a shuffle outside its mask";
    auto& warp = warps_[thread / 32];
    auto& together = warp.group(mask);
    warp.values[lane] = value;
    together.arrive_and_wait();
    const float result = warp.values[from];
    together.arrive_and_wait();
    return result;
  }

 private:
  struct Warp {
    std::barrier<>& group(unsigned mask) {
      const std::lock_guard lock(mutex);
      auto& found = groups[mask];
      if (!found) found = std::make_unique<std::barrier<>>(std::popcount(mask));
      return *found;
    }
    std::array<float, 32> values{};
    std::mutex mutex;
    std::map<unsigned, std::unique_ptr<std::barrier<>>> groups;
  };
  std::barrier<> all_;
  std::vector<Warp> warps_;
};

inline thread_local Index thread, block_size, block_index;
inline thread_local Block* block = nullptr;

}  // namespace unroll::emulated

#define threadIdx ::unroll::emulated::thread
#define blockDim ::unroll::emulated::block_size
#define blockIdx ::unroll::emulated::block_index
#define __shared__ static
#define __syncthreads() ::unroll::emulated::block->wait()
#define __shfl_xor_sync(mask, value, distance)                                           \
  ::unroll::emulated::block->shuffle(threadIdx.y* blockDim.x + threadIdx.x, mask, value, \
                                     static_cast<unsigned>(distance))

#include "model/gpu/row_machine.h"
#include "model/gpu/thread_groups.h"

namespace unroll::emulated {

/// Runs a program like a CUDA kernel.
template <typename Program>
void launch(const Program& program, std::int64_t rows) {
  using Launched = Grid<Program>;
  for (std::int64_t index = 0; index < Launched::blocks(rows); ++index) {
    Block running(kBlockThreads);
    std::vector<std::jthread> threads;
    for (unsigned y = 0; y < Launched::kRows; ++y)
      for (unsigned x = 0; x < Launched::kThreads; ++x)
        threads.emplace_back([&, x, y] {
          block = &running;
          thread = {x, y};
          block_size = {Launched::kThreads, Launched::kRows};
          block_index = {static_cast<unsigned>(index), 0};
          Launched::run(program, rows);
        });
  }
}

class Gpu final : public SerialMachine {
 public:
  void run(const RowProgram& program, std::int64_t rows) override {
    std::visit([&](const auto& each) { launch(each, rows); }, program);
  }
};

}  // namespace unroll::emulated
