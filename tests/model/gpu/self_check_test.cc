// The self-check of a GPU form, on the CPU: correct forms pass, each kind of broken one fails.
#include "model/gpu/self_check.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "model/gpu/gpu_transformer.h"
#include "tests/model/fast_form.h"
#include "tests/model/gpu/emulated_gpu.h"

namespace unroll {
namespace {

/// Omits the row programs of one kind, like a kernel that was never launched.
class LeavesOut final : public SerialMachine {
 public:
  explicit LeavesOut(std::size_t kind) : kind_(kind) {}
  void run(const RowProgram& program, std::int64_t rows) override {
    if (program.index() != kind_) SerialMachine::run(program, rows);
  }

 private:
  std::size_t kind_;
};

/// Replays nothing: results stay what they were when recorded.
class PlaysNothing final : public SerialMachine {
 public:
  std::unique_ptr<Recording> record(std::function<void()> work) override {
    work();
    return SerialMachine::record([] {});
  }
};

/// Omits the last row of each launch.
class LeavesTheLastRow final : public SerialMachine {
 public:
  void run(const RowProgram& program, std::int64_t rows) override { SerialMachine::run(program, rows - 1); }
};

class SelfCheck : public testing::Test {
 protected:
  std::string check(std::unique_ptr<RowMachine> machine) const {
    GpuTransformer form(definition_, std::move(machine), at::kFloat, true);
    return self_check(definition_, form, 1e-3);
  }

 private:
  c10::InferenceMode guard_;
  BlockRecurrentTransformer definition_ = random_network();
};

TEST_F(SelfCheck, PassesWhatIsRight) {
  EXPECT_EQ(check(std::make_unique<SerialMachine>()), "");
}

TEST_F(SelfCheck, PassesTheNetworkByAGpusThreads) {
  EXPECT_EQ(check(std::make_unique<emulated::Gpu>()), "");
}

TEST_F(SelfCheck, FindsAProgramThatDoesNothing) {
  for (std::size_t kind = 0; kind < std::variant_size_v<RowProgram>; kind += 2)  // those of fp32
    EXPECT_THAT(check(std::make_unique<LeavesOut>(kind)), testing::StartsWith("its results differ")) << kind;
}

TEST_F(SelfCheck, FindsRowsThatAreLeft) {
  EXPECT_THAT(check(std::make_unique<LeavesTheLastRow>()), testing::StartsWith("its results differ"));
}

TEST_F(SelfCheck, FindsARecordingThatIsNotPlayed) {
  EXPECT_THAT(check(std::make_unique<PlaysNothing>()), testing::StartsWith("its results differ"));
}

TEST_F(SelfCheck, TellsWhatIsThrown) {
  class Throws final : public SerialMachine {
    void run(const RowProgram&, std::int64_t) override { throw std::runtime_error("no such kernel"); }
  };
  EXPECT_EQ(check(std::make_unique<Throws>()), "it failed: no such kernel");
}

}  // namespace
}  // namespace unroll
