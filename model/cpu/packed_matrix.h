// Matrix products in tiles of 64 by 64 by oneDNN's batch-reduce kernels (as LibTorch hands them out), with
// what comes behind a product done while its tile is still in the cache. A row's result does not depend, to
// the last bit, on the other rows or on the number of threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/cpu/row_kernels.h"
#include "model/cpu/thread_pool.h"
#include "model/round_up.h"

namespace unroll {

/// What products multiply; all sum in 32 bits and give fp32. kInt8: weights with one scale a row (LLM.int8(),
/// Dettmers et al. 2022, arXiv 2208.07339), activations with one a row, found when it is written.
enum class Arithmetic { kFp32, kBf16, kInt8 };

/// Whether this CPU has what the arithmetic needs: AVX2 for fp32, AVX-512 with BF16 for bf16, with VNNI for
/// int8.
bool cpu_supports(Arithmetic arithmetic);

constexpr std::int64_t kTile = 64;
constexpr std::int32_t kZeroPoint = 128;  // what RowKernels::to_uint8 makes of 0
/// Multiply-adds that a row loop over as many numbers takes the time of, for Machine::parallel().
constexpr std::int64_t kRowCost = 16;
constexpr std::int64_t kScatterCost = 128;  // of a number that goes to a place of its own
constexpr std::int64_t kMostTiles = 4;      // of rows, that a panel of weights is multiplied with at once

/// Memory on cache lines, and on huge pages where the kernel gives them, that grows and is not given back
/// before the end.
class Buffer {
 public:
  /// The first `count` are zero, or what they were before if there was as much room.
  template <typename T>
  T* resize(std::int64_t count) {
    const auto bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (capacity_ < bytes) reserve(bytes);
    return data<T>();
  }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(bytes_.get());
  }
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes_.get());
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  void reserve(std::size_t bytes);
  std::unique_ptr<std::byte[], Free> bytes_;
  std::size_t capacity_ = 0;
};

/// Rows of floats, `stride` from one to the next.
struct Rows {
  float* data;
  std::int64_t stride;
  float* operator[](std::int64_t row) const { return data + row * stride; }
};

/// Rows of activations in an arithmetic's form, the left side of a product. Reused from block to block.
class Activations {
 public:
  void resize(Arithmetic arithmetic, std::int64_t rows, std::int64_t columns);
  /// Rows may be set from different threads.
  void set(std::int64_t row, const float* values, const RowKernels& kernels);
  /// Of kInt8 a row must be whole, as its scale is found in all of it; in others it may come in pieces, up to
  /// stride().
  static bool takes_columns(Arithmetic arithmetic) { return arithmetic != Arithmetic::kInt8; }
  void set_columns(std::int64_t row, std::int64_t column, const float* values, std::int64_t count,
                   const RowKernels& kernels);
  std::int64_t rows() const { return rows_; }
  std::int64_t stride() const {
    return stride_;
  }  ///< From row to row: columns, and zeros up to a cache line.

 private:
  friend class PackedMatrix;
  Arithmetic arithmetic_ = Arithmetic::kFp32;
  std::int64_t rows_ = 0, columns_ = 0, stride_ = 0;
  Buffer values_;              // rows up to a whole tile
  std::vector<float> scales_;  // of kInt8, [rows]
};

/// A weight [outputs, inputs] (several on one another where all multiply the same rows), cut into panels of
/// as many outputs as the kernels are fastest with.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// fp32 weights; copied. Where `gated`, the one weight's second half is gates to its first half, and a
  /// group of panels holds values, and then as many gates. `panel`: outputs in each, 16, 32 or 64;
  /// but for fp32, 64.
  PackedMatrix(std::span<const at::Tensor> weights, Arithmetic arithmetic, bool gated, std::int64_t panel);
  PackedMatrix(std::span<const at::Tensor> weights, Arithmetic arithmetic, bool gated = false)
      : PackedMatrix(weights, arithmetic, gated, fastest_panel(arithmetic)) {}
  static std::int64_t fastest_panel(Arithmetic arithmetic);  ///< Of this CPU.

  Arithmetic arithmetic() const { return arithmetic_; }
  std::int64_t inputs() const { return inputs_; }
  std::int64_t outputs() const { return outputs_; }
  std::int64_t padded_outputs() const { return padded_; }  ///< Up to a whole panel.
  std::int64_t groups() const { return round_up(padded_, kGroupColumns) / kGroupColumns; }
  std::size_t bytes() const;

  static constexpr std::int64_t kGroupColumns = 256;  ///< As many are computed before the rows are looked at.
  std::int64_t group_columns(std::int64_t group) const {  ///< With the padding of the last one.
    return std::min(kGroupColumns, padded_ - group * kGroupColumns);
  }
  /// Multiply-adds of one tile of rows with one group, about: what parallel work is cut by.
  std::int64_t group_cost() const { return kTile * std::min(kGroupColumns, padded_) * inputs_; }
  /// `tiles` tiles of 64 rows from `tile` on -> out [tiles * 64, stride], of which the first group_columns()
  /// are set.
  void product(const Activations& rows, std::int64_t tile, std::int64_t tiles, std::int64_t group,
               const RowKernels& kernels, float* out, std::int64_t stride = kGroupColumns) const;
  /// The same in two steps, the second for each row when it is looked at: in kInt8 sums() are still integers.
  void sums(const Activations& rows, std::int64_t tile, std::int64_t tiles, std::int64_t group, float* out,
            std::int64_t stride = kGroupColumns) const;
  void finish(const Activations& rows, std::int64_t row, std::int64_t group, const RowKernels& kernels,
              float* out) const;

 private:
  void fill(const at::Tensor& weight);

  Arithmetic arithmetic_ = Arithmetic::kFp32;
  std::int64_t inputs_ = 0, outputs_ = 0, padded_ = 0;
  std::int64_t panel_ = 0;
  Buffer values_;  // [panels, inputs / k, panel, k], k = 1, 2 (bf16) or 4 (int8) neighbours
  std::vector<std::int32_t> offsets_;  // of kInt8, [outputs]: 128 times the row's sum
  std::vector<float> scales_;          // of kInt8, [outputs]
};

/// What computes: the threads, some room for each, and the row loops of this CPU.
class Machine {
 public:
  Machine(int threads, const RowKernels& row_kernels)
      : kernels(row_kernels), pool_(threads), rooms_(static_cast<std::size_t>(threads)) {}

  const RowKernels& kernels;
  int threads() const { return pool_.threads(); }

  /// work(i, room) for 0 <= i < count, `cost` multiply-adds each, on as many threads as are worth waking.
  /// `room`: the thread's own, what it held before.
  template <typename Work>
  void parallel(std::int64_t count, std::int64_t cost, const Work& work) {
    constexpr std::int64_t kWorthAThread = 1'000'000;  // some 10 us
    const auto least = std::max<std::int64_t>(1, kWorthAThread / std::max<std::int64_t>(1, cost));
    const auto piece =
        std::max(least, count / (16 * threads()));  // uneven cores even out over some pieces each
    pool_.run((count + piece - 1) / piece, [&](std::int64_t i, int thread) {
      auto& room = rooms_[static_cast<std::size_t>(thread)];
      for (auto at = i * piece; at < std::min(count, (i + 1) * piece); ++at) work(at, room);
    });
  }

 private:
  ThreadPool pool_;
  std::vector<Buffer> rooms_;
};

/// work(first tile, tiles, group of columns, room) for all of a product, on several threads.
template <typename Work>
void each_part(const Activations& rows, const PackedMatrix& weight, Machine& machine, const Work& work) {
  const auto groups = weight.groups();
  const auto tiles = round_up(rows.rows(), kTile) / kTile;
  // A panel that comes from memory serves a strip of several tiles, where that leaves work for all threads.
  const auto strip = std::clamp<std::int64_t>(tiles * groups / (2 * machine.threads()), 1, kMostTiles);
  const auto strips = round_up(tiles, strip) / strip;
  machine.parallel(strips * groups, strip * weight.group_cost(), [&](std::int64_t item, Buffer& room) {
    const auto tile = item / groups * strip;
    work(tile, std::min(strip, tiles - tile), item % groups, room);
  });
}

/// rows times weight transposed -> out [rows up to a whole tile, padded_outputs()].
inline void multiply(const Activations& rows, const PackedMatrix& weight, Machine& machine, float* out) {
  const auto stride = weight.padded_outputs();
  each_part(rows, weight, machine, [&](std::int64_t tile, std::int64_t tiles, std::int64_t group, Buffer&) {
    weight.product(rows, tile, tiles, group, machine.kernels,
                   out + tile * kTile * stride + group * PackedMatrix::kGroupColumns, stride);
  });
}

/// The same without ever having all of it: done(row, group, values) for each row and group of columns;
/// `values` [group_columns] is its to change. A gated weight gives values, and as many gates behind them.
template <typename Done>
void multiply(const Activations& rows, const PackedMatrix& weight, Machine& machine,
              const Done& done) requires std::is_invocable_v<Done, std::int64_t, std::int64_t, float*> {
  each_part(rows, weight, machine,
            [&](std::int64_t tile, std::int64_t tiles, std::int64_t group, Buffer& room) {
              auto* out = room.resize<float>(kMostTiles * kTile * PackedMatrix::kGroupColumns);
              weight.sums(rows, tile, tiles, group, out);
              const auto end = std::min(rows.rows(), (tile + tiles) * kTile);
              for (auto row = tile * kTile; row < end; ++row, out += PackedMatrix::kGroupColumns) {
                weight.finish(rows, row, group, machine.kernels, out);
                done(row, group, out);
              }
            });
}

}  // namespace unroll
