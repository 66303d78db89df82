// A group of threads of this process that share a row, as a GPU's thread groups do: finds row programs that
// are only correct with one thread.
#pragma once

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

namespace unroll {

class Team {
 public:
  /// Runs program(group, row) for each row with `count` threads.
  template <typename Program>
  static void run(const Program& program, std::int64_t rows, int count) {
    Shared shared(count);
    std::vector<std::jthread> threads;
    for (int index = 0; index < count; ++index)
      threads.emplace_back([&, index] {
        for (std::int64_t row = 0; row < rows; ++row) program(Team(shared, index), row);
      });
  }

  template <typename Do>
  void each(std::int64_t count, Do&& f) const {
    for (std::int64_t i = index_; i < count; i += std::ssize(shared_.values)) f(i);
  }
  float sum(float value) const {
    return total(value, [](float a, float b) { return a + b; });
  }
  float max(float value) const {
    return total(value, [](float a, float b) { return std::max(a, b); });
  }
  bool first() const { return index_ == 0; }

 private:
  struct Shared {
    explicit Shared(int count) : values(static_cast<std::size_t>(count)), barrier(count) {}
    std::vector<float> values;
    std::barrier<> barrier;
  };
  Team(Shared& shared, int index) : shared_(shared), index_(index) {}
  template <typename Join>
  float total(float value, Join join) const {
    shared_.values[static_cast<std::size_t>(index_)] = value;
    shared_.barrier.arrive_and_wait();
    const float result =
        std::accumulate(shared_.values.begin() + 1, shared_.values.end(), shared_.values[0], join);
    shared_.barrier.arrive_and_wait();
    return result;
  }
  Shared& shared_;
  int index_;
};

}  // namespace unroll
