#include "model/cpu/tile_attention.h"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "model/cpu/tile_product.h"

namespace unroll {
namespace {

constexpr std::int64_t kChunk = 4 * kTile;  // keys whose scores exist at a time
/// The keys of a tile's last product are a multiple of this. AMX adds up 32 products of bf16 before it adds
/// them to a sum; with another multiple, oneDNN would take fewer at a time, and a row's bits would depend on
/// the tile.
constexpr std::int64_t kStep = 32;

/// Bytes per number of queries and keys, and of values.
std::int64_t key_bytes(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kInt8 ? 1 : arithmetic == Arithmetic::kBf16 ? 2 : 4;
}
std::int64_t value_bytes(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kFp32 ? 4 : 2;
}

}  // namespace

void PackedQueries::resize(Arithmetic arithmetic, std::int64_t heads, std::int64_t positions,
                           std::int64_t dim_head) {
  arithmetic_ = arithmetic;
  heads_ = heads;
  positions_ = positions;
  stride_ = round_up(positions, kTile);
  dim_head_ = dim_head;
  values_.resize<std::byte>(heads * stride_ * dim_head * key_bytes(arithmetic));
  if (arithmetic == Arithmetic::kInt8) scales_.resize(static_cast<std::size_t>(heads * stride_));
}

void PackedQueries::set(std::int64_t head, std::int64_t position, const float* query,
                        const RowKernels& kernels) {
  const auto row = head * stride_ + position, place = row * dim_head_;
  switch (arithmetic_) {
    case Arithmetic::kFp32:
      std::copy_n(query, dim_head_, values_.data<float>() + place);
      break;
    case Arithmetic::kBf16:
      kernels.to_bf16(query, dim_head_, values_.data<std::uint16_t>() + place);
      break;
    case Arithmetic::kInt8:
      scales_[static_cast<std::size_t>(row)] =
          kernels.to_uint8(query, dim_head_, values_.data<std::uint8_t>() + place);
      break;
  }
}

void PackedKeys::resize(Arithmetic arithmetic, std::int64_t heads, std::int64_t positions,
                        std::int64_t dim_head, const RowKernels& kernels) {
  arithmetic_ = arithmetic;
  heads_ = heads;
  positions_ = positions;
  stride_ = round_up(positions, kTile);
  dim_head_ = dim_head;
  keys_.resize<std::byte>(heads * stride_ * dim_head * key_bytes(arithmetic));
  values_.resize<std::byte>(heads * stride_ * dim_head * value_bytes(arithmetic));
  if (arithmetic == Arithmetic::kInt8) {
    scales_.resize(static_cast<std::size_t>(heads * stride_));
    offsets_.resize(static_cast<std::size_t>(heads * stride_));
  }
  // Old values there would be multiplied by a probability of zero, but zero times infinity is NaN.
  const std::vector<float> zeros(static_cast<std::size_t>(dim_head));
  for (std::int64_t head = 0; head < heads; ++head)
    for (auto position = positions; position < stride_; ++position)
      set(head, position, zeros.data(), zeros.data(), kernels);
}

void PackedKeys::set(std::int64_t head, std::int64_t position, const float* key, const float* value,
                     const RowKernels& kernels) {
  set_key(head, position, key, kernels);
  set_value(head, position, value, kernels);
}

void PackedKeys::set_key(std::int64_t head, std::int64_t position, const float* key,
                         const RowKernels& kernels) {
  const auto panel = (head * stride_ + position / kTile * kTile) * dim_head_, column = position % kTile;
  if (arithmetic_ == Arithmetic::kFp32) {
    auto* keys = keys_.data<float>() + panel + column;
    for (std::int64_t i = 0; i < dim_head_; ++i) keys[i * kTile] = key[i];
  } else if (arithmetic_ == Arithmetic::kBf16) {
    auto* keys = keys_.data<std::uint16_t>() + panel + 2 * column;
    std::array<std::uint16_t, kTile> converted;
    for (std::int64_t begin = 0; begin < dim_head_; begin += kTile) {
      const auto count = std::min(kTile, dim_head_ - begin);
      kernels.to_bf16(key + begin, count, converted.data());
      for (std::int64_t i = 0; i < count; i += 2)
        std::copy_n(&converted[static_cast<std::size_t>(i)], 2, keys + (begin + i) * kTile);
    }
  } else {
    auto* keys = keys_.data<std::int8_t>() + panel + 4 * column;
    const auto row = static_cast<std::size_t>(head * stride_ + position);
    std::array<std::uint8_t, kMostInt8Dim> converted;
    scales_[row] = kernels.to_uint8(key, dim_head_, converted.data());
    std::int32_t sum = 0;
    for (std::int64_t i = 0; i < dim_head_; ++i) {
      const auto number = static_cast<std::int8_t>(converted[static_cast<std::size_t>(i)] - kZeroPoint);
      keys[i / 4 * 4 * kTile + i % 4] = number;
      sum += number;
    }
    offsets_[row] = kZeroPoint * sum;
  }
}

void PackedKeys::set_value(std::int64_t head, std::int64_t position, const float* value,
                           const RowKernels& kernels) {
  if (arithmetic_ == Arithmetic::kFp32) {
    std::copy_n(value, dim_head_, values_.data<float>() + (head * stride_ + position) * dim_head_);
    return;
  }
  auto* values =
      values_.data<std::uint16_t>() + (head * stride_ + position / 2 * 2) * dim_head_ + position % 2;
  std::array<std::uint16_t, kTile> converted;
  for (std::int64_t begin = 0; begin < dim_head_; begin += kTile) {
    const auto count = std::min(kTile, dim_head_ - begin);
    kernels.to_bf16(value + begin, count, converted.data());
    for (std::int64_t i = 0; i < count; ++i) values[2 * (begin + i)] = converted[static_cast<std::size_t>(i)];
  }
}

struct TileAttention::Room {
  float* scores;         // [64, kChunk]
  float* probabilities;  // the same, in the arithmetic
  float* result;         // [64, dim_head]
  SoftmaxSums sums[kTile];
  bool empty = true;
};

TileAttention::TileAttention(const PackedQueries& queries, const PackedKeys& keys, std::int64_t documents,
                             double scale, std::int64_t past, DistanceBias bias)
    : queries_(queries),
      keys_(keys),
      documents_(documents),
      heads_(queries.heads_ / documents),
      shared_by_(queries.heads_ / keys.heads_),
      scale_(static_cast<float>(scale)),
      past_(past),
      bias_(bias) {}

bool TileAttention::computes_int8(std::int64_t dim_head) {
  return dim_head % 4 == 0 && dim_head <= kMostInt8Dim;
}

std::int64_t TileAttention::visible(std::int64_t position) const {
  return past_ == kSeesAll ? keys_.positions_ : std::min(keys_.positions_, past_ + position + 1);
}

std::int64_t TileAttention::rows_of(std::int64_t tile) const {
  return std::min(kTile, queries_.positions_ - tile * kTile);
}

void TileAttention::multiply_keys(std::int64_t head, std::int64_t first, std::int64_t begin,
                                  std::int64_t width, Room& room) const {
  const auto dim = keys_.dim_head_;
  const auto queries = (head * queries_.stride_ + first) * dim;
  const auto keys = (head / shared_by_ * keys_.stride_ + begin) * dim;
  const auto rows = computed_rows(rows_of(first / kTile));
  const auto multiply_panels = [&]<typename A, typename B, typename C>(const A* a, const B* b, C* c) {
    for (std::int64_t panel = 0; panel < width; panel += kTile)
      tile_product(rows, std::min(kTile, width - panel), dim, dim, kTile, kChunk, false, a + queries,
                   b + keys + panel * dim, c + panel);
  };
  switch (keys_.arithmetic_) {
    case Arithmetic::kFp32:
      return multiply_panels(queries_.values_.data<float>(), keys_.keys_.data<float>(), room.scores);
    case Arithmetic::kBf16:
      return multiply_panels(queries_.values_.data<at::BFloat16>(), keys_.keys_.data<at::BFloat16>(),
                             room.scores);
    case Arithmetic::kInt8:
      return multiply_panels(queries_.values_.data<unsigned char>(), keys_.keys_.data<signed char>(),
                             reinterpret_cast<std::int32_t*>(room.scores));
  }
}

template <typename Number>
void TileAttention::run_chunk(const Item& item, std::int64_t begin, const RowKernels& kernels,
                              Room& room) const {
  constexpr bool kBf16 = std::is_same_v<Number, at::BFloat16>;
  const auto dim = keys_.dim_head_, first = item.tile * kTile, rows = rows_of(item.tile);
  const auto head = item.document * heads_ + item.head, shared = head / shared_by_;
  const auto end = std::min(visible(first + rows - 1), begin + kChunk);
  const auto width = round_up(end - begin, kStep);
  const auto* values = keys_.values_.data<Number>() + shared * keys_.stride_ * dim;
  multiply_keys(head, first, begin, width, room);
  auto* probabilities = reinterpret_cast<Number*>(room.probabilities);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto count = std::clamp<std::int64_t>(visible(first + row) - begin, 0, end - begin);
    auto* scores = room.scores + row * kChunk;
    if (keys_.arithmetic_ == Arithmetic::kInt8) {
      const auto key = static_cast<std::size_t>(shared * keys_.stride_ + begin);
      kernels.from_int32(
          reinterpret_cast<const std::int32_t*>(scores), &keys_.offsets_[key], &keys_.scales_[key],
          queries_.scales_[static_cast<std::size_t>(head * queries_.stride_ + first + row)], count, scores);
    }
    if (bias_.data)  // bias of the key at `begin`, then of nearer keys
      kernels.add_scaled(scores,
                         bias_.data + (item.head + 1) * bias_.distances - 1 - (past_ + first + row - begin),
                         1 / scale_, count);
    float factor = 0;
    if constexpr (kBf16) {
      factor = kernels.softmax_bf16(scores, scale_, count, width, &room.sums[row],
                                    reinterpret_cast<std::uint16_t*>(probabilities) + row * kChunk);
    } else {
      factor =
          kernels.softmax_fp32(scores, scale_, count, width, &room.sums[row], probabilities + row * kChunk);
    }
    if (factor != 1 && !room.empty)
      kernels.scale(room.result + row * dim, factor, dim, room.result + row * dim);
  }
  tile_product(computed_rows(rows), dim, width, kChunk, dim, dim, !room.empty, probabilities,
               values + begin * dim, room.result);
  room.empty = false;
}

void TileAttention::run_tile(const Item& item, const AttentionOutput& output, const RowKernels& kernels,
                             Room& room) const {
  const auto dim = keys_.dim_head_, first = item.tile * kTile, rows = rows_of(item.tile);
  std::fill_n(room.sums, kTile, SoftmaxSums{-std::numeric_limits<float>::infinity(), 0, 0});
  for (std::int64_t begin = 0; begin < visible(first + rows - 1); begin += kChunk) {
    if (keys_.arithmetic_ == Arithmetic::kFp32) {
      run_chunk<float>(item, begin, kernels, room);
    } else {
      run_chunk<at::BFloat16>(item, begin, kernels, room);
    }
  }
  for (std::int64_t row = 0; row < rows; ++row)
    kernels.scale(room.result + row * dim, 1 / room.sums[row].sum, dim,
                  output.data + item.document * output.document_stride + (first + row) * output.row_stride +
                      item.head * output.head_stride);
}

void TileAttention::run(const AttentionOutput& output, Machine& machine) const {
  const auto tiles = queries_.stride_ / kTile, dim = keys_.dim_head_;
  const auto cost = 2 * kTile * keys_.positions_ * dim;
  machine.parallel(documents_ * heads_ * tiles, cost, [&](std::int64_t i, Buffer& own) {
    Room room;
    room.scores = own.resize<float>(kTile * (2 * kChunk + dim));
    room.probabilities = room.scores + kTile * kChunk;
    room.result = room.probabilities + kTile * kChunk;
    run_tile({i / (heads_ * tiles), i / tiles % heads_, i % tiles}, output, machine.kernels, room);
  });
}

}  // namespace unroll
