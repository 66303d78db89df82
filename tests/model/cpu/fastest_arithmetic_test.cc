#include "model/cpu/fastest_arithmetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/cpu/packed_transformer.h"
#include "model/load_transformer.h"
#include "tests/temporary_folder.h"

namespace unroll {
namespace {

TEST(FastestArithmetic, IsFp32UnlessAnotherIsClearlyFaster) {
  EXPECT_EQ(fastest_arithmetic({100, 60, 0}, false), Arithmetic::kFp32);  // a Xeon with BF16, but without AMX
  EXPECT_EQ(fastest_arithmetic({100, 110, 0}, false), Arithmetic::kFp32);
  EXPECT_EQ(fastest_arithmetic({100, 190, 0}, false), Arithmetic::kBf16);
  EXPECT_EQ(fastest_arithmetic({0, 0, 0}, false), Arithmetic::kFp32);  // nothing measured
}

TEST(FastestArithmetic, IsInt8OnlyOfWeightsThatAreStoredInIt) {
  EXPECT_EQ(fastest_arithmetic({100, 190, 300}, false), Arithmetic::kBf16);
  EXPECT_EQ(fastest_arithmetic({100, 190, 300}, true), Arithmetic::kInt8);
  EXPECT_EQ(fastest_arithmetic({100, 190, 180}, true), Arithmetic::kInt8);
  EXPECT_EQ(fastest_arithmetic({100, 190, 120}, true), Arithmetic::kBf16);
  EXPECT_EQ(fastest_arithmetic({100, 60, 50}, true), Arithmetic::kFp32);
  EXPECT_EQ(fastest_arithmetic({100, 190, 0}, true), Arithmetic::kBf16);  // the CPU has no VNNI
}

TEST(FastestArithmetic, WhatTheCpuHasIsMeasured) {
  const auto speeds = measure_arithmetic();
  for (const auto arithmetic : {Arithmetic::kFp32, Arithmetic::kBf16, Arithmetic::kInt8})
    EXPECT_EQ(speeds.of(arithmetic) > 0, cpu_supports(arithmetic));
}

/// Speeds that no measurement would give, for the arithmetics of this CPU.
ArithmeticSpeeds made_up(double bf16) {
  return {cpu_supports(Arithmetic::kFp32) ? 1.0 : 0, cpu_supports(Arithmetic::kBf16) ? bf16 : 0,
          cpu_supports(Arithmetic::kInt8) ? 1.0 : 0};
}

std::string as_json(const ArithmeticSpeeds& speeds) {
  return nlohmann::json{{"fp32", speeds.fp32}, {"bf16", speeds.bf16}, {"int8", speeds.int8}}.dump();
}

TEST(FastestArithmetic, WhatWasChosenIsChosenAgain) {
  const TemporaryFolder folder;
  const auto file = folder / "speeds";
  for (const double bf16 : {0.125, 8.0}) {
    write_file(file, as_json(made_up(bf16)));
    EXPECT_EQ(arithmetic_speeds(file), made_up(bf16));
    EXPECT_EQ(choose_dtype({.speeds_file = file}),
              bf16 > 1 && cpu_supports(Arithmetic::kBf16) ? "bf16" : "fp32");
  }
}

TEST(FastestArithmetic, AFileThatDoesNotFitIsMadeAnew) {
  const TemporaryFolder folder;
  const auto file = folder / "state" / "speeds";
  const auto measured = arithmetic_speeds(file);
  EXPECT_EQ(arithmetic_speeds({}), measured) << "measured again in the same process";
  const auto kept = read_file(file);
  auto of_another_cpu = made_up(1);
  of_another_cpu.int8 = of_another_cpu.int8 > 0 ? 0 : 1;
  for (const auto& text : {std::string("{"), std::string("{\"fp32\":1}"), as_json(of_another_cpu)}) {
    write_file(file, text);
    EXPECT_EQ(arithmetic_speeds(file), measured) << text;
    EXPECT_EQ(read_file(file), kept) << text;
  }
  EXPECT_EQ(arithmetic_speeds(file / "below-a-file"), measured) << "where nothing can be kept";
}

}  // namespace
}  // namespace unroll
