#include "model/cpu/packed_matrix.h"

#include <cstring>
#include <new>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/mman.h>

#include "model/cpu/tile_product.h"
#include "model/int8_rows.h"

namespace unroll {
namespace {

constexpr std::int64_t kLine = 64;  // bytes of a cache line; a row that straddles lines costs two reads

std::int64_t neighbours(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kFp32 ? 1 : arithmetic == Arithmetic::kBf16 ? 2 : 4;
}

std::int64_t element_bytes(Arithmetic arithmetic) {
  return 4 / neighbours(arithmetic);
}

/// Orders rows of values and gates by group, with zero rows up to whole panels.
at::Tensor interleave(const at::Tensor& weight, std::int64_t panel) {
  constexpr auto kHalf = PackedMatrix::kGroupColumns / 2;
  const auto inner = weight.size(0) / 2, padded = round_up(inner, panel);
  const auto halves = at::constant_pad_nd(weight.unflatten(0, {2, inner}), {0, 0, 0, padded - inner});
  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < padded; begin += kHalf) {
    const auto count = std::min(kHalf, padded - begin);
    parts.push_back(halves[0].narrow(0, begin, count));
    parts.push_back(halves[1].narrow(0, begin, count));
  }
  return at::cat(parts, 0);
}

}  // namespace

bool cpu_supports(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kFp32:
      return true;
    case Arithmetic::kBf16:
      return has_bf16_products();
    case Arithmetic::kInt8:
      return has_int8_products();
  }
  return false;
}

void Buffer::reserve(std::size_t bytes) {
  constexpr std::size_t kPage = 4096, kAlignment = kLine;
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  bytes_.reset();
  bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes)));
  if (!bytes_) throw std::bad_alloc();
  // Each block reads all weights: with small pages the CPU would look up thousands of addresses.
  const auto begin = (reinterpret_cast<std::uintptr_t>(bytes_.get()) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(bytes_.get()) + bytes) / kPage * kPage;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  std::memset(bytes_.get(), 0, bytes);
  capacity_ = bytes;
}

void Activations::resize(Arithmetic arithmetic, std::int64_t rows, std::int64_t columns) {
  arithmetic_ = arithmetic;
  rows_ = rows;
  columns_ = columns;
  stride_ = round_up(columns, kLine / element_bytes(arithmetic));
  values_.resize<std::byte>(round_up(rows, kTile) * stride_ * element_bytes(arithmetic));
  if (arithmetic == Arithmetic::kInt8) scales_.resize(static_cast<std::size_t>(round_up(rows, kTile)));
}

void Activations::set_columns(std::int64_t row, std::int64_t column, const float* values, std::int64_t count,
                              const RowKernels& kernels) {
  const auto place = row * stride_ + column;
  if (arithmetic_ == Arithmetic::kFp32) {
    std::copy_n(values, count, values_.data<float>() + place);
  } else {
    kernels.to_bf16(values, count, values_.data<std::uint16_t>() + place);
  }
}

void Activations::set(std::int64_t row, const float* values, const RowKernels& kernels) {
  // Padding is multiplied by zero weights, but must be finite.
  const auto place = row * stride_, padding = stride_ - columns_;
  switch (arithmetic_) {
    case Arithmetic::kFp32: {
      auto* out = values_.data<float>() + place;
      std::copy_n(values, columns_, out);
      std::fill_n(out + columns_, padding, 0.0F);
      break;
    }
    case Arithmetic::kBf16: {
      auto* out = values_.data<std::uint16_t>() + place;
      kernels.to_bf16(values, columns_, out);
      std::fill_n(out + columns_, padding, std::uint16_t{0});
      break;
    }
    case Arithmetic::kInt8: {
      auto* out = values_.data<std::uint8_t>() + place;
      scales_[static_cast<std::size_t>(row)] = kernels.to_uint8(values, columns_, out);
      std::fill_n(out + columns_, padding, std::uint8_t{0});
      break;
    }
  }
}

std::int64_t PackedMatrix::fastest_panel(Arithmetic arithmetic) {
  // AVX2 has registers for six rows by two vectors of a product's columns. Of a wider panel, too little stays
  // in the first-level cache until the next six rows.
  return arithmetic == Arithmetic::kFp32 && instruction_set() != InstructionSet::kAvx512 ? 32 : 64;
}

PackedMatrix::PackedMatrix(std::span<const at::Tensor> weights, Arithmetic arithmetic, bool gated,
                           std::int64_t panel)
    : arithmetic_(arithmetic), panel_(panel) {
  auto weight = weights.size() == 1 ? weights.front()
                                    : at::cat(std::vector<at::Tensor>(weights.begin(), weights.end()), 0);
  weight = weight.to(at::kCPU, at::kFloat).contiguous();
  outputs_ = weight.size(0);
  if (gated) {
    outputs_ /= 2;
    weight = interleave(weight, panel_);
  }
  inputs_ = round_up(weight.size(1), kLine / element_bytes(arithmetic));
  padded_ = round_up(weight.size(0), panel_);
  if (inputs_ != weight.size(1) || padded_ != weight.size(0))
    weight = at::constant_pad_nd(weight, {0, inputs_ - weight.size(1), 0, padded_ - weight.size(0)});
  auto type = at::kFloat;
  if (arithmetic == Arithmetic::kBf16) type = at::kBFloat16;
  if (arithmetic == Arithmetic::kInt8) {
    type = at::kChar;
    const auto [numbers, scale] = int8_rows(weight);
    weight = numbers;
    const auto offset = weight.sum(1).mul(kZeroPoint).to(at::kInt).contiguous();
    scales_.assign(scale.const_data_ptr<float>(), scale.const_data_ptr<float>() + scale.numel());
    offsets_.assign(offset.const_data_ptr<std::int32_t>(),
                    offset.const_data_ptr<std::int32_t>() + offset.numel());
  }
  fill(weight.to(type));
}

void PackedMatrix::fill(const at::Tensor& weight) {
  // Four bytes of neighbours form a unit in all arithmetics; each row's units form a column of its panel.
  constexpr std::int64_t kPiece = kLine / 4;
  const auto columns = weight.size(1) / neighbours(arithmetic_);
  const auto* rows = static_cast<const std::uint32_t*>(weight.const_data_ptr());
  auto* out = values_.resize<std::uint32_t>(padded_ * columns);
  at::parallel_for(0, padded_ / panel_, 1, [&](std::int64_t first, std::int64_t last) {
    for (auto row = first * panel_; row < last * panel_; row += panel_)
      for (std::int64_t piece = 0; piece < columns; piece += kPiece)
        for (std::int64_t i = 0; i < panel_; ++i)
          for (auto column = piece; column < std::min(columns, piece + kPiece); ++column)
            out[row * columns + column * panel_ + i] = rows[(row + i) * columns + column];
  });
}

std::size_t PackedMatrix::bytes() const {
  return static_cast<std::size_t>(padded_ * inputs_ * element_bytes(arithmetic_)) +
         (offsets_.size() + scales_.size()) * 4;
}

void PackedMatrix::product(const Activations& rows, std::int64_t tile, std::int64_t tiles, std::int64_t group,
                           const RowKernels& kernels, float* out, std::int64_t stride) const {
  sums(rows, tile, tiles, group, out, stride);
  for (auto row = tile * kTile; row < std::min(rows.rows(), (tile + tiles) * kTile); ++row, out += stride)
    finish(rows, row, group, kernels, out);
}

void PackedMatrix::sums(const Activations& rows, std::int64_t tile, std::int64_t tiles, std::int64_t group,
                        float* out, std::int64_t stride) const {
  if (rows.arithmetic_ != arithmetic_ || rows.stride_ != inputs_)
    throw std::logic_error("activations of another shape than the weight's");
  const auto first = group * kGroupColumns, columns = group_columns(group);
  const auto count = computed_rows(std::min(tiles * kTile, rows.rows_ - tile * kTile));
  const auto multiply_panels = [&]<typename A, typename B, typename C>(const A* a, const B* b, C* c) {
    for (std::int64_t column = 0; column < columns; column += panel_)
      tile_product(count, panel_, inputs_, inputs_, panel_, stride, false, a + tile * kTile * inputs_,
                   b + (first + column) * inputs_, c + column);
  };
  switch (arithmetic_) {
    case Arithmetic::kFp32:
      multiply_panels(rows.values_.data<float>(), values_.data<float>(), out);
      break;
    case Arithmetic::kBf16:
      multiply_panels(rows.values_.data<at::BFloat16>(), values_.data<at::BFloat16>(), out);
      break;
    case Arithmetic::kInt8:
      multiply_panels(rows.values_.data<unsigned char>(), values_.data<signed char>(),
                      reinterpret_cast<std::int32_t*>(out));
      break;
  }
  end_products(arithmetic_ != Arithmetic::kFp32);
}

void PackedMatrix::finish(const Activations& rows, std::int64_t row, std::int64_t group,
                          const RowKernels& kernels, float* out) const {
  if (arithmetic_ != Arithmetic::kInt8) return;
  const auto column = static_cast<std::size_t>(group * kGroupColumns);
  kernels.from_int32(reinterpret_cast<const std::int32_t*>(out), &offsets_[column], &scales_[column],
                     rows.scales_[static_cast<std::size_t>(row)], group_columns(group), out);
}

}  // namespace unroll
