#include "model/cpu/fastest_arithmetic.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <string>

#include <ATen/ATen.h>

#include "base/atomic_file.h"
#include "base/strict_json.h"

namespace unroll {
namespace {

constexpr double kClearly = 1.15;  // times as fast; smaller differences may be noise
constexpr std::array kArithmetics{Arithmetic::kFp32, Arithmetic::kBf16, Arithmetic::kInt8};

/// CPU time of this thread: excludes other programs on the core.
double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// One product in one arithmetic, small enough to stay in a core's caches.
class Trial {
 public:
  static constexpr std::int64_t kRows = kMostTiles * kTile, kInputs = 256, kOutputs = 512;
  static constexpr double kMultiplyAdds = static_cast<double>(kRows * kInputs * kOutputs);

  Trial(Arithmetic arithmetic, const at::Tensor& weight) : matrix_(std::array{weight}, arithmetic) {
    activations_.resize(arithmetic, kRows, kInputs);
    out_.resize<float>(kRows * matrix_.padded_outputs());
  }

  void run(const at::Tensor& rows) {
    const auto& kernels = row_kernels();
    const auto* values = rows.const_data_ptr<float>();
    const auto began = thread_seconds();
    for (std::int64_t row = 0; row < kRows; ++row) activations_.set(row, values + row * kInputs, kernels);
    for (std::int64_t group = 0; group < matrix_.groups(); ++group)
      matrix_.product(activations_, 0, kMostTiles, group, kernels,
                      out_.data<float>() + group * PackedMatrix::kGroupColumns, matrix_.padded_outputs());
    best_ = std::min(best_, thread_seconds() - began);
  }
  double speed() const { return kMultiplyAdds / best_; }

 private:
  PackedMatrix matrix_;
  Activations activations_;
  Buffer out_;
  double best_ = std::numeric_limits<double>::infinity();
};

std::optional<ArithmeticSpeeds> read(const std::filesystem::path& file) {
  try {
    std::ifstream in(file, std::ios::binary);
    const auto json = parse_strict_json(std::string(std::istreambuf_iterator<char>(in), {}), {});
    const ArithmeticSpeeds speeds{json.at("fp32"), json.at("bf16"), json.at("int8")};
    for (const auto arithmetic : kArithmetics)
      if ((speeds.of(arithmetic) > 0) != cpu_supports(arithmetic)) return std::nullopt;
    return speeds;
  } catch (const std::exception&) {
    return std::nullopt;  // missing or damaged: measuring writes it again
  }
}

void write(const std::filesystem::path& file, const ArithmeticSpeeds& speeds) {
  try {
    if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
    AtomicFile out(file);
    out.write(nlohmann::json{{"fp32", speeds.fp32}, {"bf16", speeds.bf16}, {"int8", speeds.int8}}.dump() +
              "\n");
    out.commit();
  } catch (const std::exception&) {
    // Without the file each process measures for itself; only in a close race may the results differ.
  }
}

}  // namespace

double ArithmeticSpeeds::of(Arithmetic arithmetic) const {
  return arithmetic == Arithmetic::kFp32 ? fp32 : arithmetic == Arithmetic::kBf16 ? bf16 : int8;
}

ArithmeticSpeeds measure_arithmetic() {
  constexpr int kRounds = 6;  // the first round of each creates its kernels
  const auto weight = at::linspace(-1, 1, Trial::kOutputs * Trial::kInputs).view({Trial::kOutputs, -1});
  const auto rows = at::linspace(-1, 1, Trial::kRows * Trial::kInputs).view({Trial::kRows, -1});
  std::array<std::optional<Trial>, kArithmetics.size()> trials;
  for (std::size_t i = 0; i < trials.size(); ++i)
    if (cpu_supports(kArithmetics[i])) trials[i].emplace(kArithmetics[i], weight);
  for (int round = 0; round < kRounds; ++round)
    for (auto& trial : trials)
      if (trial) trial->run(rows);
  const auto speed = [&](std::size_t i) { return trials[i] ? trials[i]->speed() : 0; };
  return {speed(0), speed(1), speed(2)};
}

ArithmeticSpeeds arithmetic_speeds(const std::filesystem::path& file) {
  if (!file.empty())
    if (const auto kept = read(file)) return *kept;
  static const ArithmeticSpeeds measured = measure_arithmetic();
  if (!file.empty()) write(file, measured);
  return measured;
}

Arithmetic fastest_arithmetic(const ArithmeticSpeeds& speeds, bool stored_in_int8) {
  auto best = stored_in_int8 && speeds.int8 > 0 ? Arithmetic::kInt8 : Arithmetic::kFp32;
  for (const auto other : {Arithmetic::kFp32, Arithmetic::kBf16})
    if (speeds.of(other) > kClearly * speeds.of(best)) best = other;
  return best;
}

}  // namespace unroll
