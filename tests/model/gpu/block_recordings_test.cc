// Tests recordings of work that writes to the same addresses each time, as a CUDA graph does.
#include "model/gpu/block_recordings.h"

#include <ATen/ATen.h>
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
