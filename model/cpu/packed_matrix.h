// Matrix products in tiles of 64 by 64 (tile_product.h). What follows a product is applied to a tile while it
// is in the cache. A row's result does not depend, to the last bit, on the other rows or on the number of
// threads.
#pragma once

#include <algorithm>
#include <bit>
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

/// Types that products multiply; all sum in 32 bits and return fp32. kInt8: weights with one scale per row
/// (LLM.int8(), Dettmers et al. 2022, arXiv 2208.07339), activations with one scale per row, computed when
/// the row is set.
enum class Arithmetic { kFp32, kBf16, kInt8 };

/// Whether this CPU supports the arithmetic: any CPU fp32; AVX-512 with BF16 for bf16, with VNNI for int8.
bool cpu_supports(Arithmetic arithmetic);

constexpr std::int64_t kTile = 64;
constexpr std::int32_t kZeroPoint = 128;  // RowKernels::to_uint8 maps 0 to this
/// Cost of a row loop per number, in multiply-adds, for Machine::parallel().
constexpr std::int64_t kRowCost = 16;
constexpr std::int64_t kScatterCost = 128;  // of a number that is stored at a place of its own
constexpr std::int64_t kMostTiles = 4;  // tiles of rows that are multiplied with a panel of weights at once

/// The rows that a product computes of `count`: few different numbers, because a kernel is made for each.
constexpr std::int64_t computed_rows(std::int64_t count) {
  constexpr std::int64_t kStep = 16;
  if (count >= kStep) return round_up(count, kStep);
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(count)));
}

/// Memory aligned to cache lines, on huge pages if the kernel provides them. It grows and is freed only at
/// the end.
class Buffer {
 public:
  /// The first `count` elements: zero, or what they were before if there was enough room.
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

/// Rows of floats, `stride` floats from one to the next.
struct Rows {
  float* data;
  std::int64_t stride;
  float* operator[](std::int64_t row) const { return data + row * stride; }
};

/// Rows of activations in the form of an arithmetic, the left side of a product. Reused from block to block.
class Activations {
 public:
  void resize(Arithmetic arithmetic, std::int64_t rows, std::int64_t columns);
  /// Different threads may set different rows.
  void set(std::int64_t row, const float* values, const RowKernels& kernels);
  /// With kInt8 a row must be set as a whole, because its scale depends on all of it; otherwise it may be set
  /// in pieces, up to stride().
  static bool takes_columns(Arithmetic arithmetic) { return arithmetic != Arithmetic::kInt8; }
  void set_columns(std::int64_t row, std::int64_t column, const float* values, std::int64_t count,
                   const RowKernels& kernels);
  std::int64_t rows() const { return rows_; }
  /// Columns from row to row, padded with zeros to a cache line.
  std::int64_t stride() const { return stride_; }

 private:
  friend class PackedMatrix;
  Arithmetic arithmetic_ = Arithmetic::kFp32;
  std::int64_t rows_ = 0, columns_ = 0, stride_ = 0;
  Buffer values_;              // rows, padded to a whole tile
  std::vector<float> scales_;  // kInt8: [rows]
};

/// A weight [outputs, inputs], or several concatenated ones that multiply the same rows, in panels of as many
/// outputs as the kernels are fastest with.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Copies fp32 weights. If `gated`, there is one weight whose second half holds the gates of its first
  /// half, and a group of panels holds values, then as many gates. `panel`: outputs per panel: 16, 32 or 64
  /// in fp32, otherwise 64.
  PackedMatrix(std::span<const at::Tensor> weights, Arithmetic arithmetic, bool gated, std::int64_t panel);
  PackedMatrix(std::span<const at::Tensor> weights, Arithmetic arithmetic, bool gated = false)
      : PackedMatrix(weights, arithmetic, gated, fastest_panel(arithmetic)) {}
  static std::int64_t fastest_panel(Arithmetic arithmetic);  ///< Of this CPU.

  Arithmetic arithmetic() const { return arithmetic_; }
  std::int64_t inputs() const { return inputs_; }
  std::int64_t outputs() const { return outputs_; }
  std::int64_t padded_outputs() const { return padded_; }  ///< Padded to a whole panel.
  std::int64_t groups() const { return round_up(padded_, kGroupColumns) / kGroupColumns; }
  std::size_t bytes() const;

  static constexpr std::int64_t kGroupColumns =
      256;  ///< Columns that are computed before the rows are processed.
  std::int64_t group_columns(std::int64_t group) const {  ///< Including the padding of the last group.
    return std::min(kGroupColumns, padded_ - group * kGroupColumns);
  }
  /// Approximate multiply-adds of one tile of rows with one group: the unit of parallel work.
  std::int64_t group_cost() const { return kTile * std::min(kGroupColumns, padded_) * inputs_; }
  /// Multiplies the rows of `tiles` tiles of 64 from `tile` on -> out [tiles * 64, stride], of which the rows
  /// that there are and the first group_columns() are set.
  void product(const Activations& rows, std::int64_t tile, std::int64_t tiles, std::int64_t group,
               const RowKernels& kernels, float* out, std::int64_t stride = kGroupColumns) const;
  /// The same in two steps; call the second for each row when it is processed: with kInt8, sums() are
  /// integers.
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
  std::vector<std::int32_t> offsets_;  // kInt8: [outputs], 128 times the row's sum
  std::vector<float> scales_;          // kInt8: [outputs]
};

/// The threads that compute, a buffer for each, and the row loops of this CPU.
class Machine {
 public:
  Machine(int threads, const RowKernels& row_kernels)
      : kernels(row_kernels), pool_(threads), rooms_(static_cast<std::size_t>(threads)) {}

  const RowKernels& kernels;
  int threads() const { return pool_.threads(); }

  /// Calls work(i, room) for 0 <= i < count, `cost` multiply-adds each, on as many threads as are worth
  /// waking. `room` is the thread's buffer with its previous content.
  template <typename Work>
  void parallel(std::int64_t count, std::int64_t cost, const Work& work) {
    constexpr std::int64_t kWorthAThread = 1'000'000;  // about 10 us
    const auto least = std::max<std::int64_t>(1, kWorthAThread / std::max<std::int64_t>(1, cost));
    const auto piece =
        std::max(least, count / (16 * threads()));  // several pieces per thread balance uneven cores
    pool_.run((count + piece - 1) / piece, [&](std::int64_t i, int thread) {
      auto& room = rooms_[static_cast<std::size_t>(thread)];
      for (auto at = i * piece; at < std::min(count, (i + 1) * piece); ++at) work(at, room);
    });
  }

 private:
  ThreadPool pool_;
  std::vector<Buffer> rooms_;
};

/// Calls work(first tile, tiles, group of columns, room) for a whole product, on several threads.
template <typename Work>
void each_part(const Activations& rows, const PackedMatrix& weight, Machine& machine, const Work& work) {
  const auto groups = weight.groups();
  const auto tiles = round_up(rows.rows(), kTile) / kTile;
  // A panel that comes from memory serves a strip of several tiles, if that leaves work for all threads.
  const auto strip = std::clamp<std::int64_t>(tiles * groups / (2 * machine.threads()), 1, kMostTiles);
  const auto strips = round_up(tiles, strip) / strip;
  machine.parallel(strips * groups, strip * weight.group_cost(), [&](std::int64_t item, Buffer& room) {
    const auto tile = item / groups * strip;
    work(tile, std::min(strip, tiles - tile), item % groups, room);
  });
}

/// rows times weight transposed -> out [rows up to a whole tile, padded_outputs()], of which `rows` are set.
inline void multiply(const Activations& rows, const PackedMatrix& weight, Machine& machine, float* out) {
  const auto stride = weight.padded_outputs();
  each_part(rows, weight, machine, [&](std::int64_t tile, std::int64_t tiles, std::int64_t group, Buffer&) {
    weight.product(rows, tile, tiles, group, machine.kernels,
                   out + tile * kTile * stride + group * PackedMatrix::kGroupColumns, stride);
  });
}

/// The same without storing the whole result: calls done(row, group, values) for each row and group of
/// columns; it may change `values` [group_columns]. A gated weight gives values, followed by as many gates.
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
