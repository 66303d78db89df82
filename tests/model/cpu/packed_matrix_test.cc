#include "model/cpu/packed_matrix.h"

#include <array>
#include <tuple>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/cpu/packed_transformer.h"
#include "model/cpu/tile_product.h"

namespace unroll {
namespace {

constexpr std::int64_t kRows = 70, kInputs = 40,
                       kOutputs = 150;  // none is a multiple of a tile, line or panel

Activations activations_of(const at::Tensor& rows, Arithmetic arithmetic) {
  Activations result;
  result.resize(arithmetic, rows.size(0), rows.size(1));
  for (std::int64_t row = 0; row < rows.size(0); ++row)
    result.set(row, rows.const_data_ptr<float>() + row * rows.size(1), row_kernels());
  return result;
}

at::Tensor multiplied(const at::Tensor& rows, const PackedMatrix& weight, int threads = 2) {
  Machine machine(threads, row_kernels());
  auto result = at::empty({round_up(rows.size(0), kTile), weight.padded_outputs()});
  multiply(activations_of(rows, weight.arithmetic()), weight, machine, result.mutable_data_ptr<float>());
  return result.narrow(0, 0, rows.size(0)).narrow(1, 0, weight.outputs());
}

class PackedMatrixTest : public testing::TestWithParam<std::tuple<Arithmetic, std::int64_t>> {
 protected:
  void SetUp() override {
    if (!cpu_supports(arithmetic_)) GTEST_SKIP() << "this CPU does not multiply that";
    at::manual_seed(1);
    rows_ = at::randn({kRows, kInputs});
    weight_ = at::randn({kOutputs, kInputs});
  }
  /// For sums of 40 products of normally distributed numbers.
  double rounding() const { return arithmetic_ == Arithmetic::kFp32 ? 1e-4 : 0.5; }

  const Arithmetic arithmetic_ = std::get<0>(GetParam());
  const std::int64_t panel_ = std::get<1>(GetParam());
  at::Tensor rows_, weight_;
};

TEST_P(PackedMatrixTest, IsTheProduct) {
  const PackedMatrix packed(std::array{weight_}, arithmetic_, false, panel_);
  EXPECT_EQ(packed.padded_outputs() % panel_, 0);
  EXPECT_TRUE(at::allclose(multiplied(rows_, packed), at::linear(rows_, weight_), 0, rounding()));
}

TEST_P(PackedMatrixTest, ARowsBitsDependNeitherOnItsNeighboursNorOnThreads) {
  const PackedMatrix packed(std::array{weight_}, arithmetic_, false, panel_);
  const auto all = multiplied(rows_, packed);
  EXPECT_TRUE(at::equal(multiplied(rows_.narrow(0, 65, 3).contiguous(), packed, 1), all.narrow(0, 65, 3)));
}

TEST_P(PackedMatrixTest, GatesComeBehindTheirValues) {
  const PackedMatrix packed(std::array{at::cat({weight_, weight_ + 1}, 0)}, arithmetic_, true, panel_);
  ASSERT_EQ(packed.outputs(), kOutputs);
  const auto values = at::linear(rows_, weight_), gates = at::linear(rows_, weight_ + 1);
  Machine machine(2, row_kernels());
  auto seen = at::full({2, kRows, kOutputs}, std::nan(""));
  auto* out = seen.mutable_data_ptr<float>();
  multiply(activations_of(rows_, arithmetic_), packed, machine,
           [&](std::int64_t row, std::int64_t group, const float* found) {
             const auto column = group * PackedMatrix::kGroupColumns / 2,
                        half = packed.group_columns(group) / 2;
             for (std::int64_t i = 0; i < std::min(half, kOutputs - column); ++i) {
               out[row * kOutputs + column + i] = found[i];
               out[(kRows + row) * kOutputs + column + i] = found[half + i];
             }
           });
  EXPECT_TRUE(at::allclose(seen[0], values, 0, rounding()));
  EXPECT_TRUE(at::allclose(seen[1], gates, 0, 2 * rounding()));
}

/// Sizes that fill vectors, rows that come in fours, and what is left of both.
TEST(PortableProductTest, IsTheProductAndARowsBitsDependOnNothingElse) {
  at::manual_seed(1);
  constexpr std::int64_t kStride = 80;
  for (const auto& [rows, columns, depth] :
       std::vector<std::array<std::int64_t, 3>>{{64, 64, 48}, {7, 23, 5}, {1, 3, 64}, {6, 37, 1}}) {
    const auto a = at::randn({rows, kStride}), b = at::randn({depth, kStride});
    auto sum = at::randn({rows, kStride}), one = sum.clone();
    const auto untouched = sum.clone();
    const auto expected = at::matmul(a.narrow(1, 0, depth), b.narrow(1, 0, columns));
    const auto multiply = [&](std::int64_t first, std::int64_t count, bool add, at::Tensor& out) {
      portable_product(count, columns, depth, kStride, kStride, kStride, add,
                       a.const_data_ptr<float>() + first * kStride, b.const_data_ptr<float>(),
                       out.mutable_data_ptr<float>() + first * kStride);
    };
    multiply(0, rows, true, sum);
    EXPECT_TRUE(at::allclose(sum.narrow(1, 0, columns), untouched.narrow(1, 0, columns) + expected, 0, 1e-4));
    multiply(0, rows, false, sum);
    EXPECT_TRUE(at::allclose(sum.narrow(1, 0, columns), expected, 0, 1e-4));
    EXPECT_TRUE(at::equal(sum.narrow(1, columns, kStride - columns),
                          untouched.narrow(1, columns, kStride - columns)));
    multiply(rows - 1, 1, false, one);
    EXPECT_TRUE(at::equal(one[rows - 1], sum[rows - 1]));
  }
}

INSTANTIATE_TEST_SUITE_P(OfAnyCpu, PackedMatrixTest,
                         testing::Combine(testing::Values(Arithmetic::kFp32), testing::Values(16, 32, 64)));
INSTANTIATE_TEST_SUITE_P(OfFewerBits, PackedMatrixTest,
                         testing::Combine(testing::Values(Arithmetic::kBf16, Arithmetic::kInt8),
                                          testing::Values(64)));

}  // namespace
}  // namespace unroll
