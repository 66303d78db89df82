// The self-check of a GPU form, on the CPU: correct forms pass, each kind of broken one fails.
#include "model/gpu/self_check.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "model/gpu/gpu_transformer.h"
#include "model/load_network.h"
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

class SelfCheckTest : public testing::Test {
 protected:
  SelfCheck differences(std::unique_ptr<RowMachine> machine, const std::vector<std::int64_t>& batches) const {
    GpuTransformer form(definition_, std::move(machine), at::kFloat, true);
    return self_check(definition_, form, batches);
  }
  std::string check(std::unique_ptr<RowMachine> machine) const {
    return differences(std::move(machine), {1, 2, 4, 8}).problem(1e-3);
  }

 private:
  c10::InferenceMode guard_;

 protected:
  BlockRecurrentTransformer definition_ = random_network({{"memory_blocks", 3}});
};

TEST_F(SelfCheckTest, PassesWhatIsRight) {
  EXPECT_EQ(check(std::make_unique<SerialMachine>()), "");
}

TEST_F(SelfCheckTest, PassesTheNetworkByAGpusThreads) {
  const auto definition = random_network();  // with less memory: each thread of a GPU is one of this process
  GpuTransformer form(definition, std::make_unique<emulated::Gpu>(), at::kFloat, true);
  EXPECT_EQ(self_check(definition, form, std::vector<std::int64_t>{2}).problem(1e-3), "");
}

TEST_F(SelfCheckTest, FindsAProgramThatDoesNothing) {
  for (std::size_t kind = 0; kind < std::variant_size_v<RowProgram>; kind += 2)  // those of fp32
    EXPECT_THAT(check(std::make_unique<LeavesOut>(kind)), testing::StartsWith("its results differ")) << kind;
}

TEST_F(SelfCheckTest, FindsRowsThatAreLeft) {
  EXPECT_THAT(check(std::make_unique<LeavesTheLastRow>()), testing::StartsWith("its results differ"));
}

TEST_F(SelfCheckTest, FindsARecordingThatIsNotPlayed) {
  EXPECT_THAT(check(std::make_unique<PlaysNothing>()), testing::StartsWith("its results differ"));
}

TEST_F(SelfCheckTest, TellsWhatIsThrown) {
  class Throws final : public SerialMachine {
    void run(const RowProgram&, std::int64_t) override { throw std::runtime_error("no such kernel"); }
  };
  EXPECT_EQ(check(std::make_unique<Throws>()), "it failed: no such kernel");
}

/// Wrong in replays of one number of documents.
class ForgetsOneBatch final : public SerialMachine {
 public:
  /// `recording` counts from 0: recordings are made for 1, 2, 4 and 8 documents.
  explicit ForgetsOneBatch(int recording) : recording_(recording) {}
  std::unique_ptr<Recording> record(std::function<void()> work) override {
    if (recording_-- != 0) return SerialMachine::record(std::move(work));
    // Right once, as if the replay did nothing.
    auto once = std::make_shared<bool>(false);
    return SerialMachine::record([work, once] {
      if (!std::exchange(*once, true)) work();
    });
  }
  int left() const { return recording_; }

 private:
  int recording_;
};

TEST_F(SelfCheckTest, FindsAWrongRecordingOfAnyNumberOfDocuments) {
  for (const int recording : {0, 1, 2, 3}) {
    const auto documents = "documents " + std::to_string(1 << recording) + ", block 5, ";
    EXPECT_THAT(check(std::make_unique<ForgetsOneBatch>(recording)),
                testing::AllOf(testing::StartsWith("its results differ"), testing::HasSubstr(documents)));
  }
}

TEST_F(SelfCheckTest, NamesTensorsAndBlocks) {
  const auto found = differences(std::make_unique<SerialMachine>(), {1, 2});
  // Three blocks fill the memories; two more are recorded and replayed; a part of one follows.
  std::vector<std::string> names;
  for (const auto& each : found.differences)
    if (each.documents == 2 && each.block == 6) names.push_back(each.tensor);
  EXPECT_THAT(names,
              testing::ElementsAre("state 1", "memory of layer 1", "memory of layer 2", "memory of layer 3",
                                   "last layer", "log-probabilities", "entropies"));
  EXPECT_EQ(found.differences.size(), 2 * 6 * names.size());
  EXPECT_LT(found.worst(), 1e-4);
  EXPECT_EQ(found.problem(1e-3), "");
}

/// What load_network() does with a machine.
class UseGpuForm : public SelfCheckTest {
 protected:
  LoadedNetwork use(std::unique_ptr<RowMachine> machine, bool graphs = true) const {
    LoadedNetwork loaded;
    loaded.dtype = "fp32";
    use_gpu_form(definition_, std::move(machine), graphs, loaded);
    return loaded;
  }
};

TEST_F(UseGpuForm, ReportsWhatComputes) {
  auto loaded = use(std::make_unique<SerialMachine>());
  EXPECT_TRUE(loaded.network);
  EXPECT_EQ(loaded.form + "|" + loaded.form_problem, "kernels+graphs|");
  loaded = use(std::make_unique<SerialMachine>(), false);
  EXPECT_TRUE(loaded.network);
  EXPECT_EQ(loaded.form + "|" + loaded.form_problem, "kernels|");
}

TEST_F(UseGpuForm, ReportsThatNoGraphWasRecorded) {
  class RecordsNothing final : public SerialMachine {
    std::unique_ptr<Recording> record(std::function<void()>) override {
      throw std::runtime_error("cannot record");
    }
  };
  const auto loaded = use(std::make_unique<RecordsNothing>());
  EXPECT_TRUE(loaded.network);
  EXPECT_EQ(loaded.form + "|" + loaded.form_problem, "kernels|cannot record");
}

TEST_F(UseGpuForm, LeavesWrongKernelsToLibTorch) {
  const auto loaded = use(std::make_unique<LeavesTheLastRow>());
  EXPECT_FALSE(loaded.network);
  EXPECT_EQ(loaded.form, "operators");
  EXPECT_THAT(loaded.form_problem, testing::StartsWith("its results differ"));
}

TEST_F(UseGpuForm, StopsIfTheDeviceIsLost) {
  class Lost final : public SerialMachine {
    void run(const RowProgram&, std::int64_t) override { throw std::runtime_error("misaligned address"); }
    std::string lost() override { return "an illegal memory access"; }
  };
  EXPECT_THAT(error_of([&] { use(std::make_unique<Lost>()); }),
              testing::AllOf(testing::HasSubstr("an illegal memory access"),
                             testing::HasSubstr("start again with device cuda-plain"),
                             testing::HasSubstr("misaligned address")));
}

}  // namespace
}  // namespace unroll
