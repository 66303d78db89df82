// The `capacity` highest elements of a stream. Of equal ones, the first is kept.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace unroll::builtin {

/// T has `double rank` (higher is better), `std::uint64_t start` (grows along the stream), and
/// visit(archive).
template <class T>
class TopList {
 public:
  explicit TopList(std::size_t capacity = 0) : capacity_(capacity) {}
  bool takes(double rank) const {
    return capacity_ > 0 && (heap_.size() < capacity_ || rank > heap_.front().rank);
  }
  void add(T item) {
    if (!takes(item.rank)) return;
    if (heap_.size() == capacity_) {
      std::pop_heap(heap_.begin(), heap_.end(), better);
      heap_.pop_back();
    }
    heap_.push_back(std::move(item));
    std::push_heap(heap_.begin(), heap_.end(), better);
  }
  std::vector<T> best_first() const {
    auto sorted = heap_;
    std::sort(sorted.begin(), sorted.end(), better);
    return sorted;
  }
  void visit(auto& archive) { archive(heap_); }
  std::size_t size() const { return heap_.size(); }
  std::size_t capacity() const { return capacity_; }

 private:
  static bool better(const T& a, const T& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.start < b.start;
  }
  std::size_t capacity_;
  std::vector<T> heap_;  // the worst is in front
};

}  // namespace unroll::builtin
