// parts: measures the parts of a block separately, in the sizes of the reference's README: products,
// attention, row loops. `operations`: floating-point or integer operations per second, two per multiply-add.
#include <numeric>
#include <random>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "model/cpu/packed_matrix.h"
#include "model/cpu/packed_transformer.h"
#include "model/cpu/tile_attention.h"

namespace unroll {
namespace {

constexpr std::int64_t kRows = 512, kDim = 512, kHeads = 8, kDimHead = 64, kFeedForward = 1365;

Machine& machine() {
  static Machine instance(at::get_num_threads(), row_kernels());
  return instance;
}

std::vector<float> numbers(std::int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> result(static_cast<std::size_t>(count));
  for (auto& value : result) value = normal(random);
  return result;
}

void count_operations(benchmark::State& state, double operations) {
  state.counters["operations"] =
      benchmark::Counter(operations * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void product(benchmark::State& state, Arithmetic arithmetic, std::int64_t inputs, std::int64_t outputs) {
  if (!cpu_supports(arithmetic)) return state.SkipWithError("this CPU does not compute that");
  const PackedMatrix weight(std::array{at::randn({outputs, inputs})}, arithmetic);
  const auto rows = numbers(kRows * inputs);
  Activations activations;
  activations.resize(arithmetic, kRows, inputs);
  for (std::int64_t row = 0; row < kRows; ++row)
    activations.set(row, &rows[static_cast<std::size_t>(row * inputs)], machine().kernels);
  std::vector<float> sums(static_cast<std::size_t>(kRows * outputs));
  for (auto _ : state)
    multiply(activations, weight, machine(), [&](std::int64_t row, std::int64_t group, float* values) {
      const auto column = group * PackedMatrix::kGroupColumns;
      machine().kernels.add(&sums[static_cast<std::size_t>(row * outputs + column)], values,
                            std::min(weight.group_columns(group), outputs - column));
    });
  count_operations(state, 2.0 * static_cast<double>(kRows * inputs * outputs));
}

void attention(benchmark::State& state, Arithmetic arithmetic) {
  if (!cpu_supports(arithmetic)) return state.SkipWithError("this CPU does not compute that");
  const auto& kernels = machine().kernels;
  PackedQueries queries;
  PackedKeys keys;
  queries.resize(arithmetic, kHeads, kRows, kDimHead);
  keys.resize(arithmetic, 1, 2 * kRows, kDimHead, kernels);
  const auto values = numbers(kDimHead);
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t head = 0; head < kHeads; ++head) queries.set(head, i, values.data(), kernels);
  for (std::int64_t i = 0; i < 2 * kRows; ++i) keys.set(0, i, values.data(), values.data(), kernels);
  std::vector<float> out(static_cast<std::size_t>(kRows * kDim));
  const TileAttention attention(queries, keys, 1, 0.125, kRows);
  for (auto _ : state) attention.run({out.data(), kRows * kDim, kDim, kDimHead}, machine());
  const auto visible = static_cast<double>(kRows) * (kRows + (kRows + 1) / 2.0);
  count_operations(state, 4 * visible * kHeads * kDimHead);
}

template <typename Loop>
void loop(benchmark::State& state, std::int64_t count, const Loop& call) {
  auto row = numbers(count);
  std::vector<float> out(row.size());
  for (auto _ : state) call(machine().kernels, row.data(), out.data(), count);
  state.counters["numbers"] =
      benchmark::Counter(static_cast<double>(count * state.iterations()), benchmark::Counter::kIsRate);
}

void add_benchmarks() {
  const std::pair<const char*, Arithmetic> arithmetics[] = {
      {"fp32", Arithmetic::kFp32}, {"bf16", Arithmetic::kBf16}, {"int8", Arithmetic::kInt8}};
  const std::tuple<const char*, std::int64_t, std::int64_t> products[] = {
      {"queries_keys_values", kDim, kDim + 2 * kDimHead},
      {"to_out", kDim, kDim},
      {"feed_forward_in", kDim, 2 * kFeedForward},
      {"feed_forward_out", kFeedForward, kDim},
      {"logits", kDim, 20'000}};
  for (const auto& [numbers, arithmetic] : arithmetics) {
    for (const auto& [name, inputs, outputs] : products)
      benchmark::RegisterBenchmark((std::string(name) + "/" + numbers).c_str(), product, arithmetic, inputs,
                                   outputs)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    if (arithmetic != Arithmetic::kInt8)
      benchmark::RegisterBenchmark((std::string("attention/") + numbers).c_str(), attention, arithmetic)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
  }
  const auto add = [](const char* name, std::int64_t count, auto call) {
    benchmark::RegisterBenchmark((std::string("row/") + name).c_str(),
                                 [=](benchmark::State& state) { loop(state, count, call); });
  };
  add("layer_norm", kDim, [](const RowKernels& kernels, const float* in, float* out, std::int64_t count) {
    kernels.layer_norm(in, in, in, count, out);
  });
  add("gelu_gate", kFeedForward,
      [](const RowKernels& kernels, const float* in, float* out, std::int64_t count) {
        kernels.gelu_gate(in, in, count, out);
      });
  add("softmax_fp32", 256, [](const RowKernels& kernels, const float* in, float* out, std::int64_t count) {
    SoftmaxSums sums{-1e9F, 0, 0};
    kernels.softmax_fp32(in, 0.125F, count, count, &sums, out);
  });
  add("softmax_bf16", 256, [](const RowKernels& kernels, const float* in, float* out, std::int64_t count) {
    SoftmaxSums sums{-1e9F, 0, 0};
    kernels.softmax_bf16(in, 0.125F, count, count, &sums, reinterpret_cast<std::uint16_t*>(out));
  });
  add("softmax_sums", 256, [](const RowKernels& kernels, const float* in, float*, std::int64_t count) {
    SoftmaxSums sums{-1e9F, 0, 0};
    kernels.softmax_sums_weighted(in, count, &sums);
    benchmark::DoNotOptimize(sums);
  });
  add("to_bf16", kDim, [](const RowKernels& kernels, const float* in, float* out, std::int64_t count) {
    kernels.to_bf16(in, count, reinterpret_cast<std::uint16_t*>(out));
  });
  add("to_uint8", kDim, [](const RowKernels& kernels, const float* in, float* out, std::int64_t count) {
    kernels.to_uint8(in, count, reinterpret_cast<std::uint8_t*>(out));
  });
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  unroll::add_benchmarks();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
