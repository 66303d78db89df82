// Compares the row loops of each instruction set that this CPU supports with double precision.
#include "model/cpu/row_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace unroll {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

std::vector<float> random_row(std::int64_t count, float size = 3) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::normal_distribution<float> normal(0, size);
  std::vector<float> row(static_cast<std::size_t>(count));
  for (auto& value : row) value = normal(random);
  return row;
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

struct Case {
  const char* name;
  InstructionSet set;
  const RowKernels& kernels;
};

std::vector<Case> cases() {
  std::vector<Case> result{
      {"portable", InstructionSet::kPortable, row_kernels_for<InstructionSet::kPortable>()}};
#ifdef __x86_64__
  result.push_back({"avx2", InstructionSet::kAvx2, row_kernels_for<InstructionSet::kAvx2>()});
  result.push_back({"avx512", InstructionSet::kAvx512, row_kernels_for<InstructionSet::kAvx512>()});
#endif
  return result;
}

class RowKernelsTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().set > instruction_set()) GTEST_SKIP() << "this CPU lacks these instructions";
  }
  const RowKernels& kernels = GetParam().kernels;
  /// Whole vectors, less than one, and both.
  const std::vector<std::int64_t> counts{1, 2, 7, 16, 63, 64, 65, 500};
};

TEST_P(RowKernelsTest, LayerNorm) {
  for (const auto count : counts) {
    const auto x = random_row(count), gamma = random_row(count + 1), beta = random_row(count + 2);
    std::vector<float> out(x.size());
    kernels.layer_norm(x.data(), gamma.data(), beta.data(), count, out.data());
    const auto mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(count);
    double variance = 0;
    for (const auto value : x) variance += (value - mean) * (value - mean) / static_cast<double>(count);
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(out[i], (x[i] - mean) / std::sqrt(variance + 1e-5) * gamma[i] + beta[i], 2e-5) << count;
  }
}

TEST_P(RowKernelsTest, RmsNorm) {
  for (const auto count : counts) {
    const auto x = random_row(count), gamma = random_row(count + 1);
    std::vector<float> out(x.size());
    kernels.rms_norm(x.data(), gamma.data(), 1e-3F, count, out.data());
    double squares = 0;
    for (const auto value : x) squares += value * value / static_cast<double>(count);
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_NEAR(out[i], x[i] / std::sqrt(squares + 1e-3) * gamma[i], 2e-5) << count;
  }
}

TEST_P(RowKernelsTest, SiluGate) {
  for (const auto count : counts) {
    const auto values = random_row(count);
    auto gates = random_row(count + 1, 20);
    gates[0] = 300;  // its exponential overflows a float
    std::vector<float> out(values.size());
    kernels.silu_gate(values.data(), gates.data(), count, out.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double wanted = values[i] * gates[i] / (1 + std::exp(-static_cast<double>(gates[i])));
      EXPECT_NEAR(out[i], wanted, 1e-6 + 1e-6 * std::abs(wanted)) << gates[i];
    }
    if (gates.size() > 1) continue;
    const float minus = -300, zero = 0;
    kernels.silu_gate(values.data(), &minus, 1, out.data());
    EXPECT_NEAR(out[0], 0, 1e-6);
    kernels.silu_gate(values.data(), &zero, 1, out.data());
    EXPECT_EQ(out[0], 0);
  }
}

TEST_P(RowKernelsTest, HadamardIsThatMatrix) {
  for (const auto count : counts) {
    const auto x = random_row(count);
    const auto padded = (count + kHadamard - 1) / kHadamard * kHadamard;
    std::vector<float> out(static_cast<std::size_t>(padded)), again(out.size());
    kernels.hadamard(x.data(), count, out.data());
    for (std::int64_t i = 0; i < padded; ++i) {
      double wanted = 0;
      const auto block = i / kHadamard * kHadamard;
      for (std::int64_t j = block; j < std::min(count, block + kHadamard); ++j)
        wanted += (std::popcount(static_cast<std::uint64_t>((i - block) & (j - block))) % 2 ? -1 : 1) *
                  static_cast<double>(x[static_cast<std::size_t>(j)]) / 8;
      EXPECT_NEAR(out[static_cast<std::size_t>(i)], wanted, 1e-5) << count;
    }
    kernels.hadamard(out.data(), padded, again.data());
    for (std::size_t i = 0; i < again.size(); ++i)
      EXPECT_NEAR(again[i], i < x.size() ? x[i] : 0, 1e-5) << count;
  }
}

TEST_P(RowKernelsTest, Bf16AndBack) {
  for (const auto count : counts) {
    auto x = random_row(count);
    std::vector<std::uint16_t> bits(x.size());
    std::vector<float> back(x.size());
    kernels.to_bf16(x.data(), count, bits.data());
    kernels.from_bf16(bits.data(), count, back.data());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(back[i], from_bf16(bits[i]));
    kernels.round_to_bf16(x.data(), count);
    EXPECT_EQ(x, back);
  }
}

TEST_P(RowKernelsTest, UnitLengthAndRotation) {
  auto x = random_row(64);
  const auto scale = random_row(64), cosine = random_row(64, 1), sine = random_row(64, 2);
  const auto before = x;
  kernels.unit_length(x.data(), scale.data(), 64);
  double squares = 0;
  for (const auto value : before) squares += value * value;
  for (std::size_t i = 0; i < 64; ++i) EXPECT_NEAR(x[i], before[i] / std::sqrt(squares) * scale[i], 1e-5);
  auto rotated = x;
  kernels.rotate(rotated.data(), cosine.data(), sine.data(), 64);
  for (std::size_t i = 0; i < 64; ++i) {
    const auto other = i < 32 ? -x[i + 32] : x[i - 32];
    EXPECT_NEAR(rotated[i], x[i] * cosine[i] + other * sine[i], 1e-5);
  }
  std::vector<float> zeros(64);
  kernels.unit_length(zeros.data(), scale.data(), 64);
  for (const auto value : zeros) EXPECT_EQ(value, 0);
}

TEST_P(RowKernelsTest, GeluIsThatOfTheErrorFunction) {
  std::vector<float> gates, values;
  for (double x = -12; x < 12; x += 0.01) {
    gates.push_back(static_cast<float>(x));
    values.push_back(2);
  }
  kernels.gelu_gate(values.data(), gates.data(), std::ssize(gates), values.data());
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const double x = gates[i];
    EXPECT_NEAR(values[i], x * (1 + std::erf(x / std::sqrt(2.0))), 3e-7 * (1 + std::abs(x))) << x;
  }
}

TEST_P(RowKernelsTest, Bf16RoundsToNearestEven) {
  const std::vector<float> x{1.0F, 1.00390625F, 1.01171875F, -2.5F, 0.0F, 3.14159265F, 1e-30F};
  std::vector<std::uint16_t> out(x.size());
  kernels.to_bf16(x.data(), std::ssize(x), out.data());
  const std::vector<float> expected{1.0F, 1.0F, 1.015625F, -2.5F, 0.0F, 3.140625F};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(from_bf16(out[i]), expected[i]) << i;
  EXPECT_NEAR(from_bf16(out.back()) / 1e-30F, 1, 1.0 / 256);
}

TEST_P(RowKernelsTest, BytesAndBack) {
  for (const auto count : counts) {
    const auto x = random_row(count);
    std::vector<std::uint8_t> bytes(x.size());
    const auto scale = kernels.to_uint8(x.data(), count, bytes.data());
    std::vector<std::int32_t> sums(bytes.begin(), bytes.end());
    const std::vector<std::int32_t> offsets(x.size(), 128);
    const std::vector<float> ones(x.size(), 1);
    std::vector<float> back(x.size());
    kernels.from_int32(sums.data(), offsets.data(), ones.data(), scale, count, back.data());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(back[i], x[i], scale * 0.501) << count;
  }
  const std::vector<float> zeros(9);
  std::vector<std::uint8_t> bytes(9);
  EXPECT_EQ(kernels.to_uint8(zeros.data(), 9, bytes.data()), 0);
  EXPECT_EQ(bytes.front(), 128);
}

TEST_P(RowKernelsTest, SoftmaxInPiecesIsTheSoftmaxOfTheWhole) {
  const auto scores = random_row(500, 20);
  const double scale = 0.3;
  double max = -1e9, sum = 0;
  for (const auto score : scores) max = std::max(max, scale * score);
  for (const auto score : scores) sum += std::exp(scale * score - max);
  SoftmaxSums exact{kNothing, 0, 0}, rough = exact;
  std::vector<double> probabilities(512), rough_probabilities(512);
  std::vector<float> out(128);
  std::vector<std::uint16_t> rough_out(128);
  for (std::size_t begin = 0; begin < 512; begin += 128) {
    const auto count = static_cast<std::int64_t>(std::min<std::size_t>(128, 500 - begin));
    const auto factor =
        kernels.softmax_fp32(&scores[begin], static_cast<float>(scale), count, 128, &exact, out.data());
    const auto rough_factor =
        kernels.softmax_bf16(&scores[begin], static_cast<float>(scale), count, 128, &rough, rough_out.data());
    EXPECT_EQ(factor, rough_factor);
    for (std::size_t i = 0; i < begin; ++i) {
      probabilities[i] *= factor;
      rough_probabilities[i] *= factor;
    }
    for (std::size_t i = 0; i < 128; ++i) {
      probabilities[begin + i] = out[i];
      rough_probabilities[begin + i] = from_bf16(rough_out[i]);
    }
  }
  EXPECT_EQ(exact.max, std::ceil(max / std::numbers::ln2));
  const auto base = exact.max * std::numbers::ln2;
  EXPECT_NEAR(exact.sum / sum, std::exp(max - base), 1e-5);
  EXPECT_NEAR(rough.sum / sum, std::exp(max - base), 1e-3);
  for (std::size_t i = 0; i < 500; ++i) {
    const auto expected = std::exp(scale * scores[i] - base);
    EXPECT_NEAR(probabilities[i], expected, 1e-5) << i;
    EXPECT_NEAR(rough_probabilities[i], expected, expected / 200 + 1e-9) << i;
  }
  for (std::size_t i = 500; i < 512; ++i) EXPECT_EQ(probabilities[i], 0);
}

TEST_P(RowKernelsTest, NothingVisibleChangesNothing) {
  SoftmaxSums sums{2, 3, 0};
  std::vector<float> out(64, 1), scores(64, 100);
  EXPECT_EQ(kernels.softmax_fp32(scores.data(), 1, 0, 64, &sums, out.data()), 1);
  EXPECT_EQ(sums.max, 2);
  EXPECT_EQ(sums.sum, 3);
  EXPECT_EQ(out, std::vector<float>(64));
}

TEST_P(RowKernelsTest, SumsOfLogitsGiveTheEntropy) {
  for (const auto count : counts) {
    const auto logits = random_row(count, 5);
    SoftmaxSums sums{kNothing, 0, 0}, unweighted = sums;
    const auto first = count / 3;
    for (const auto& [begin, length] : {std::pair{std::int64_t{0}, first}, {first, count - first}}) {
      kernels.softmax_sums_weighted(logits.data() + begin, length, &sums);
      kernels.softmax_sums(logits.data() + begin, length, &unweighted);
    }
    EXPECT_EQ(unweighted.max, sums.max);
    EXPECT_EQ(unweighted.sum, sums.sum);
    double sum = 0, entropy = 0;
    for (const auto logit : logits) sum += std::exp(static_cast<double>(logit));
    for (const auto logit : logits) entropy -= std::exp(logit) / sum * (logit - std::log(sum));
    const auto log_sum = sums.max * std::numbers::ln2 + std::log(sums.sum);
    EXPECT_NEAR(log_sum, std::log(sum), 1e-5) << count;
    EXPECT_NEAR(log_sum - sums.weighted / sums.sum, entropy, 2e-5) << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, RowKernelsTest, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace unroll
