// Shared by the parts of a fast training step: threads with scratch memory, products, weights in the layouts
// of products, and the reduction of gradients. The order of all sums depends only on shapes, so the results
// are bitwise equal for any number of threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "model/cpu/packed_matrix.h"
#include "model/cpu/thread_pool.h"
#include "model/cpu/tile_product.h"
#include "training/fast/tile_kernels.h"

namespace unroll {

/// A thread's scratch memory, kept between work items. The caller numbers the slots.
class Room {
 public:
  template <typename T>
  T* take(std::size_t slot, std::int64_t count) {
    return slots_.at(slot).resize<T>(count);
  }

 private:
  std::array<Buffer, 12> slots_;
};

/// c [m, 64 or less] = a [m, depth] times b (see TileKernels); with `add`, added to c.
void multiply_tile(std::int64_t m, std::int64_t n, std::int64_t depth, const float* a, std::int64_t stride_a,
                   const float* b, float* c, std::int64_t stride_c, bool add);
void multiply_tile(std::int64_t m, std::int64_t n, std::int64_t depth, const std::uint16_t* a,
                   std::int64_t stride_a, const std::uint16_t* b, float* c, std::int64_t stride_c, bool add);

/// The padded depth of a product: even for bf16.
template <typename Number>
constexpr std::int64_t depth_of(std::int64_t depth) {
  return sizeof(Number) == 2 ? round_up(depth, 2) : depth;
}

/// The threads of a step and the kernels for this CPU.
template <typename Number>
class StepMachine {
 public:
  explicit StepMachine(int threads)
      : kernels(tile_kernels<Number>()),
        loops(tile_tables().loops),
        pool_(threads),
        rooms_(static_cast<std::size_t>(threads)) {}

  const TileKernels<Number>& kernels;
  const TileLoops& loops;

  /// Calls work(i, room) for 0 <= i < count, on all threads.
  template <typename Work>
  void parallel(std::int64_t count, const Work& work) {
    pool_.run(count, [&](std::int64_t i, int thread) {
      work(i, rooms_[static_cast<std::size_t>(thread)]);
      end_products(sizeof(Number) == 2);
    });
  }
  /// A tile as the right side of a product; for fp32 the tile itself.
  const Number* right_side(const float* x, std::int64_t features, Room& room, std::size_t slot) const {
    if constexpr (std::is_same_v<Number, float>) {
      return x;
    } else {
      auto* out = room.take<Number>(slot, depth_of<Number>(features) * kTileRows);
      kernels.pairs(x, features, out);
      return out;
    }
  }

 private:
  ThreadPool pool_;
  std::vector<Room> rooms_;
};

/// A parameter that is not a matrix of products, and its gradient.
struct Vector {
  const float* values = nullptr;
  float* gradient = nullptr;
  std::int64_t count = 0;
};

/// A matrix [out, in] in the layouts of products.
template <typename Number>
class Weight {
 public:
  Weight(const float* values, float* gradient, std::int64_t out, std::int64_t in);
  std::int64_t out() const { return out_; }
  std::int64_t in() const { return in_; }
  /// Call after the values have changed.
  void refresh(StepMachine<Number>& machine);
  /// x [in, 64] (right side) -> y [count, 64], the outputs from `first` on.
  void forward(const Number* x, std::int64_t first, std::int64_t count, float* y, bool add = false) const {
    multiply_tile(count, kTileRows, depth_of<Number>(in_), plain_ + first * plain_stride_, plain_stride_, x,
                  y, kTileRows, add);
  }
  void forward(const Number* x, float* y, bool add = false) const { forward(x, 0, out_, y, add); }
  /// dy [count, 64] (right side), of the outputs from `first` on -> dx [in, 64].
  void backward(const Number* dy, std::int64_t first, std::int64_t count, float* dx, bool add = false) const {
    multiply_tile(in_, kTileRows, depth_of<Number>(count), turned_ + first, turned_stride_, dy, dx, kTileRows,
                  add);
  }
  void backward(const Number* dy, float* dx, bool add = false) const { backward(dy, 0, out_, dx, add); }
  /// As above for a range of inputs: dx [count, 64].
  void backward_inputs(const Number* dy, std::int64_t first, std::int64_t count, float* dx) const {
    multiply_tile(count, kTileRows, depth_of<Number>(out_), turned_ + first * turned_stride_, turned_stride_,
                  dy, dx, kTileRows, false);
  }
  /// dy [out, positions] (left side); x: panels of 64 inputs, each a right side of as many positions.
  void add_gradient(const Number* dy, const Number* x, std::int64_t positions, StepMachine<Number>& machine);

 private:
  const float* values_;
  float* gradient_;
  std::int64_t out_, in_, plain_stride_, turned_stride_;
  Buffer plain_room_, turned_room_;
  const Number* plain_ = nullptr;   // [out, plain_stride]
  const Number* turned_ = nullptr;  // [in, turned_stride]
};

/// One side of weights' gradients, gathered over all tiles of a block.
template <typename Number>
class Gathered {
 public:
  void resize(std::int64_t features, std::int64_t tiles) {
    positions_ = tiles * kTileRows;
    values_.template resize<Number>(round_up(features, kTileRows) * positions_);
  }
  std::int64_t positions() const { return positions_; }
  const Number* data() const { return values_.template data<Number>(); }
  /// As left side: a tile's features from `feature` on.
  Number* left(std::int64_t tile, std::int64_t feature = 0) {
    return values_.template data<Number>() + feature * positions_ + tile * kTileRows;
  }
  /// As right side; `feature` a multiple of 64.
  Number* right(std::int64_t tile, std::int64_t feature = 0) {
    return values_.template data<Number>() + feature * positions_ + tile * kTileRows * kTileRows;
  }
  std::int64_t panel_stride() const { return kTileRows * positions_; }

 private:
  Buffer values_;
  std::int64_t positions_ = 0;
};

/// Gradients of a vector, one part per parallel work item, added up in order.
class Partials {
 public:
  void resize(std::int64_t parts, std::int64_t count);
  float* part(std::int64_t i) { return values_.data<float>() + i * count_; }
  void add_to(float* gradient);

 private:
  Buffer values_;
  std::int64_t parts_ = 0, count_ = 0;
};

extern template class Weight<float>;
extern template class Weight<std::uint16_t>;

}  // namespace unroll
