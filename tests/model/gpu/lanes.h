// Lanes that are threads of this process, as many as a test asks for: what a GPU's are made of, to find
// programs that are right by one lane alone.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

namespace unroll {

class ThreadLanes {
 public:
  /// Runs program(lanes, row) for each row by `count` lanes.
  template <typename Program>
  static void run(const Program& program, std::int64_t rows, int count) {
    Shared shared(count);
    std::vector<std::jthread> threads;
    for (int lane = 0; lane < count; ++lane)
      threads.emplace_back([&, lane] {
        for (std::int64_t row = 0; row < rows; ++row) program(ThreadLanes(shared, lane), row);
      });
  }

  template <typename Do>
  void each(std::int64_t count, Do&& f) const {
    for (std::int64_t i = lane_; i < count; i += std::ssize(shared_.values)) f(i);
  }
  float sum(float value) const {
    return total(value, [](float a, float b) { return a + b; });
  }
  float max(float value) const {
    return total(value, [](float a, float b) { return std::max(a, b); });
  }
  bool first() const { return lane_ == 0; }

 private:
  struct Shared {
    explicit Shared(int count) : values(static_cast<std::size_t>(count)), barrier(count) {}
    std::vector<float> values;
    std::barrier<> barrier;
  };
  ThreadLanes(Shared& shared, int lane) : shared_(shared), lane_(lane) {}
  template <typename Join>
  float total(float value, Join join) const {
    shared_.values[static_cast<std::size_t>(lane_)] = value;
    shared_.barrier.arrive_and_wait();
    const float result =
        std::accumulate(shared_.values.begin() + 1, shared_.values.end(), shared_.values[0], join);
    shared_.barrier.arrive_and_wait();
    return result;
  }
  Shared& shared_;
  int lane_;
};

}  // namespace unroll
