// Tests recordings of work that writes to the same addresses each time, as a CUDA graph does.
#include "model/gpu/block_recordings.h"

#include <vector>

#include <ATen/ATen.h>
#include <ATen/native/ForeachUtils.h>
#include <gtest/gtest.h>

namespace unroll {
namespace {

TEST(BlockRecordings, WhatIsHandedOutIsNotWrittenAgain) {
  const auto hidden = at::zeros({2, 4, 3}), memory = at::zeros({2, 2, 4, 3}), state = at::zeros({2, 5, 3});
  int runs = 0;
  SerialMachine machine;
  BlockRecordings recordings(machine, [&](const at::Tensor& tokens, Recurrence& recurrence) {
    ++runs;
    memory.copy_(recurrence.memories[0] + 1);
    state.copy_(recurrence.states[0] + 1);
    hidden.copy_(tokens.unsqueeze(-1).expand({2, 4, 3}));
    recurrence.memories[0] = memory;
    recurrence.states[0] = state;
    return hidden;
  });
  std::vector<Recurrence> after;
  std::vector<at::Tensor> seen;
  for (int block = 0; block < 3; ++block) {
    auto& recurrence = after.emplace_back();
    recurrence.memories = {at::full({2, 2, 4, 3}, 10 * block)};
    recurrence.states = {at::full({2, 5, 3}, 20 * block)};
    seen.push_back(*recordings.run(at::full({2, 4}, block, at::kLong), recurrence));
  }
  for (int block = 0; block < 3; ++block) {
    const auto i = static_cast<std::size_t>(block);
    EXPECT_TRUE(after[i].memories[0].eq(10 * block + 1).all().item<bool>()) << block;
    EXPECT_TRUE(after[i].states[0].eq(20 * block + 1).all().item<bool>()) << block;
    EXPECT_TRUE(seen[i].eq(block).all().item<bool>()) << block;
  }
  EXPECT_EQ(runs, 3);
}

/// Whether a GPU copies these in one launch: LibTorch's own condition.
void expect_one_launch(const at::Tensor& to, const at::Tensor& from) {
  EXPECT_TRUE(at::native::can_use_fast_route(at::TensorList(to), at::TensorList(from)))
      << to.sizes() << " strides " << to.strides() << " from " << from.strides();
}

/// In and out, for any number of documents up to a recording's.
TEST(BlockRecordings, CopiesTakeOneLaunch) {
  for (const std::int64_t batch : {1, 2, 3, 5, 8}) {
    SCOPED_TRACE(batch);
    at::Tensor before, after;
    SerialMachine machine;
    BlockRecordings recordings(machine, [&](const at::Tensor& tokens, Recurrence& recurrence) {
      before = recurrence.memories[0];
      // As GpuTransformer leaves memories: a document's together.
      after = at::zeros({tokens.size(0), 2, 4, 3}).transpose(0, 1);
      recurrence.memories[0] = after.copy_(before + 1);
      return at::zeros({tokens.size(0), 4, 3});
    });
    const auto random = at::randint(-100, 100, {batch, 2, 4, 3}, at::kFloat);
    std::vector<Recurrence> documents(static_cast<std::size_t>(batch));
    for (std::int64_t i = 0; i < batch; ++i)
      documents[static_cast<std::size_t>(i)].memories = {random.narrow(0, i, 1).transpose(0, 1).clone()};
    for (int block = 1; block <= 2; ++block) {
      auto recurrence = join(documents);
      const auto given = recurrence.memories[0];
      ASSERT_TRUE(recordings.run(at::zeros({batch, 4}, at::kLong), recurrence));
      expect_one_launch(before.narrow(1, 0, batch), given);
      expect_one_launch(recurrence.memories[0], after.narrow(1, 0, batch));
      documents = recurrence.rows(batch);
      for (std::int64_t i = 0; i < batch; ++i) {
        const auto& mine = documents[static_cast<std::size_t>(i)].memories[0];
        EXPECT_TRUE(mine.equal(random.narrow(0, i, 1).transpose(0, 1) + block));
        expect_one_launch(mine, recurrence.memories[0].narrow(1, i, 1));
      }
    }
  }
}

TEST(BlockRecordings, LeavesAloneWhatTheyAreNotFor) {
  SerialMachine machine;
  BlockRecordings recordings(machine, [](const at::Tensor&, Recurrence&) -> at::Tensor {
    ADD_FAILURE() << "was recorded";
    return {};
  });
  Recurrence recurrence;
  EXPECT_FALSE(recordings.run(at::zeros({1, 4}, at::kLong), recurrence));  // there is nothing before it
  const auto many = BlockRecordings::kMostDocuments + 1;
  recurrence.states = {at::zeros({many, 5, 3})};
  EXPECT_FALSE(recordings.run(at::zeros({many, 4}, at::kLong), recurrence));
  EXPECT_EQ(recordings.failure(), "");
}

}  // namespace
}  // namespace unroll
