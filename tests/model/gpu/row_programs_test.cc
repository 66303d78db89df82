// Compares the row programs with LibTorch's operators: with one thread as on the CPU, with several as on a
// GPU; in fp32 and bf16.
#include "model/gpu/row_programs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/attention.h"
#include "model/gpu/row_operators.h"
#include "tests/model/gpu/emulated_gpu.h"
#include "tests/model/gpu/team.h"

namespace unroll {
namespace {

class ThreadedMachine final : public SerialMachine {
 public:
  explicit ThreadedMachine(int threads) : threads_(threads) {}
  void run(const RowProgram& program, std::int64_t rows) override {
    std::visit([&](const auto& each) { Team::run(each, rows, threads_); }, program);
  }

 private:
  int threads_;
};

constexpr int kSerial = 0, kEmulatedGpu = -1;

struct Case {
  const char* name;
  int threads;  // or kSerial, kEmulatedGpu
  at::ScalarType numbers;
};

class RowProgramsTest : public testing::TestWithParam<Case> {
 protected:
  RowProgramsTest() {
    at::manual_seed(5);
    if (GetParam().threads == kSerial)
      machine_ = std::make_unique<SerialMachine>();
    else if (GetParam().threads == kEmulatedGpu)
      machine_ = std::make_unique<emulated::Gpu>();
    else
      machine_ = std::make_unique<ThreadedMachine>(GetParam().threads);
    rows_.emplace(*machine_, numbers());
  }
  static at::ScalarType numbers() { return GetParam().numbers; }
  static at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes).to(numbers()); }
  /// They may differ only by rounding the results to `numbers`.
  static void expect_close(const at::Tensor& got, const at::Tensor& wanted) {
    const double tolerance = got.scalar_type() == at::kBFloat16 ? 8e-3 : 2e-5;
    EXPECT_EQ(got.sizes(), wanted.sizes());
    EXPECT_TRUE(at::allclose(got.to(at::kFloat), wanted.to(at::kFloat), tolerance, tolerance))
        << (got.to(at::kFloat) - wanted.to(at::kFloat)).abs().max().item<float>();
  }
  const RowOperators& rows() const { return *rows_; }

  LayerNorm norm_{at::randn({24}), at::randn({24})};

 private:
  std::unique_ptr<RowMachine> machine_;
  std::optional<RowOperators> rows_;
};

TEST_P(RowProgramsTest, AddsAndNormalises) {
  const auto x = at::randn({7, 24}) * 3 + 1, branch = random({7, 24}), places = at::randn({3, 24});
  auto sum = x.clone();
  const auto normed = rows().add_norm(sum, branch, {}, norm_, places);
  expect_close(sum, x + branch.to(at::kFloat));
  expect_close(normed, norm_(sum) + places.repeat({3, 1}).narrow(0, 0, 7));
  EXPECT_EQ(normed.scalar_type(), numbers());
}

TEST_P(RowProgramsTest, NormalisesAlone) {
  const auto x = at::randn({5, 24});
  const auto before = x.clone();
  expect_close(rows().add_norm(x, {}, {}, norm_), norm_(before));
  EXPECT_TRUE(x.equal(before));
}

TEST_P(RowProgramsTest, BlendsWhereThereIsAShare) {
  const auto x = at::randn({5, 24}), branch = random({5, 24}), share = at::rand({24});
  auto blended = x.clone();
  rows().add(blended, branch, share);
  expect_close(blended, share * branch.to(at::kFloat) + (1 - share) * x);
}

TEST_P(RowProgramsTest, Gates) {
  const auto in = random({6, 48});
  const auto halves = in.to(at::kFloat).chunk(2, 1);
  expect_close(rows().gelu_gate(in), at::gelu(halves[1]) * halves[0]);
}

TEST_P(RowProgramsTest, UpdatesStates) {
  const auto before = at::randn({2, 3, 8}), z = random({6, 8}), bias = at::randn({8}), share = at::rand({8});
  const auto next = z.to(at::kFloat).view({2, 3, 8}) + bias;
  expect_close(rows().update_state(before, z, bias, share), share * next + (1 - share) * before);
}

TEST_P(RowProgramsTest, CopiesHeadsTurnedAndScaled) {
  const std::int64_t batch = 2, length = 5, past = 3, heads = 2, dim = 16;
  const auto entry = random({batch, length, heads * dim + 24});  // the wanted columns among others
  // Documents lie apart.
  const auto memory = at::randn({batch, 2 * past, heads * dim}).narrow(1, past, past),
             scale = at::randn({dim});
  const RotaryTables rotary(dim, past + length, at::kCPU);
  const auto tables = rotary.key_tables();
  const auto all = at::empty({batch, past + length, heads, dim}, at::TensorOptions(numbers()));
  const auto plain = at::empty({batch, length, 1, dim}, at::TensorOptions(numbers()));
  rows().copy_heads(std::array<RowOperators::Heads, 3>{
      {{entry.narrow(2, 8, heads * dim),
        all,
        past,
        scale,
        {tables.cosine.narrow(0, past, length), tables.sine.narrow(0, past, length)}},
       {memory, all, 0, scale, {tables.cosine.narrow(0, 0, past), tables.sine.narrow(0, 0, past)}},
       {entry.narrow(2, 8 + heads * dim, dim), plain}}});
  const auto keys = at::cat(std::vector{memory, entry.narrow(2, 8, heads * dim).to(at::kFloat)}, 1);
  const auto wanted = rotary.rotate_keys(l2norm(split_heads(keys, heads)) * scale);
  expect_close(all, wanted.transpose(1, 2));
  EXPECT_TRUE(plain.flatten(2).equal(entry.narrow(2, 8 + heads * dim, dim)));
}

TEST_P(RowProgramsTest, Scores) {
  const std::int64_t tokens = 1001;  // not a multiple of what a thread reads at once
  const auto logits = random({4, tokens + 7}) * 5;
  logits.narrow(1, tokens, 7).fill_(100);  // padding, which must be ignored
  const auto targets = at::tensor({0, 17, 1000, 999}, at::kLong);
  const auto logprobs = at::empty({4}, at::kFloat), entropies = at::empty({4}, at::kFloat);
  rows().score(logits, tokens, targets, logprobs, entropies);
  const auto all = at::log_softmax(logits.narrow(1, 0, tokens).to(at::kFloat), 1);
  expect_close(logprobs, all.gather(1, targets.unsqueeze(1)).squeeze(1));
  expect_close(entropies, -(all.exp() * all).sum(1));
  const auto again = at::empty({4}, at::kFloat);
  rows().score(logits, tokens, targets, again, {});
  EXPECT_TRUE(again.equal(logprobs));
}

INSTANTIATE_TEST_SUITE_P(Threads, RowProgramsTest,
                         testing::Values(Case{"serial_fp32", kSerial, at::kFloat},
                                         Case{"serial_bf16", kSerial, at::kBFloat16},
                                         Case{"three_threads_fp32", 3, at::kFloat},
                                         Case{"eight_threads_bf16", 8, at::kBFloat16},
                                         Case{"gpu_threads_fp32", kEmulatedGpu, at::kFloat},
                                         Case{"gpu_threads_bf16", kEmulatedGpu, at::kBFloat16}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace unroll
