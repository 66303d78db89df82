// Which blocks are kept, and what of them another one finds.
#include "model/block_starts.h"

#include <gtest/gtest.h>

namespace unroll {
namespace {

struct State final : ModelState {
  std::vector<std::byte> serialize() const override { return {}; }
  std::size_t bytes() const override { return 0; }
};

ReadBlock block_of(ModelStatePtr state, std::vector<std::int32_t> tokens) {
  return {std::move(state), std::move(tokens), {}, {}, {}};
}

std::size_t known(BlockStarts& starts, const ModelStatePtr& state, const std::vector<std::int32_t>& tokens) {
  const auto found = starts.find({state, tokens, {}});
  EXPECT_EQ(found.block != nullptr, found.known > 0);
  return found.known;
}

TEST(BlockStarts, FindsWhatABlockAfterTheSameStateHasInCommon) {
  BlockStarts starts;
  const auto a = std::make_shared<const State>(), b = std::make_shared<const State>();
  EXPECT_EQ(known(starts, a, {1, 2}), 0);
  starts.put(block_of(a, {1, 2, 3}));
  EXPECT_EQ(known(starts, a, {1, 2, 4, 5}), 2);
  EXPECT_EQ(known(starts, a, {1, 2, 3, 4}), 3);
  EXPECT_EQ(known(starts, a, {1, 2, 3}), 2) << "something is left to compute";
  EXPECT_EQ(known(starts, a, {1}), 0);
  EXPECT_EQ(known(starts, a, {2, 2}), 0);
  EXPECT_EQ(known(starts, b, {1, 2, 3}), 0);
  EXPECT_EQ(known(starts, nullptr, {1, 2, 3}), 0);
  starts.put(block_of(a, {7, 8}));
  EXPECT_EQ(known(starts, a, {1, 2, 3}), 0) << "the latest one after a state";
  EXPECT_EQ(known(starts, a, {7, 8, 9}), 2);
}

TEST(BlockStarts, KeepsAFewThatWereOfUse) {
  BlockStarts starts;
  std::vector<ModelStatePtr> states;
  for (int i = 0; i < 4; ++i) {
    states.push_back(std::make_shared<const State>());
    starts.put(block_of(states.back(), {i, i}));
    EXPECT_EQ(known(starts, states[0], {0, 0, 0}), 2) << "it is used";
  }
  EXPECT_EQ(known(starts, states[1], {1, 1, 1}), 0);
  EXPECT_EQ(known(starts, states[3], {3, 3, 3}), 2);
}

TEST(BlockStarts, HoldsNoState) {
  BlockStarts starts;
  auto state = std::make_shared<const State>();
  const std::weak_ptr<const State> watched = state;
  starts.put(block_of(state, {1, 2}));
  state.reset();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(known(starts, nullptr, {1, 2, 3}), 0) << "an expired state is not the one before a document";
  starts.put(block_of(nullptr, {1, 2}));
  EXPECT_EQ(known(starts, nullptr, {1, 2, 3}), 2);
}

}  // namespace
}  // namespace unroll
