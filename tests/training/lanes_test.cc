// Rows of a batch: every token once, in order, and the same again after a restart.
#include "training/lanes.h"

#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace unroll {
namespace {

constexpr std::int64_t kIgnore = -100;
constexpr std::int32_t kBegin = 7;

/// Documents whose tokens give their document and position: 1000 * (document + 1) + position.
std::vector<TokenDocument> numbered_documents(const std::vector<std::size_t>& lengths) {
  static const std::vector<std::uint16_t> numbers = [] {
    std::vector<std::uint16_t> all(10'000);
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    return all;
  }();
  std::vector<TokenDocument> documents;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    documents.push_back(
        {"folder/text-" + std::to_string(i), std::span(numbers).subspan(1000 * (i + 1), lengths[i])});
  }
  return documents;
}

bool same(const LaneBlock& a, const LaneBlock& b) {
  return a.inputs == b.inputs && a.targets == b.targets && a.begins == b.begins;
}

TEST(Lanes, EveryTokenOnceAnEpoch) {
  constexpr std::int64_t kWidth = 4;
  const auto documents = numbered_documents({1, 4, 5, 23, 0, 40, 7});
  // One lane takes pieces in order, so that epochs can be distinguished.
  Lanes lanes(documents, {}, 1, kWidth, 3, kIgnore, 9, kBegin);
  const auto blocks_of = [](std::size_t tokens) { return (tokens + kWidth - 1) / kWidth; };
  std::size_t blocks = 0, total = 0;
  for (const auto& document : documents) {
    blocks += blocks_of(document.tokens.size());
    total += document.tokens.size();
  }
  std::vector<std::int64_t> first_order;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::multiset<std::int64_t> seen;
    std::vector<std::int64_t> order;
    for (std::size_t i = 0; i < blocks; ++i) {
      for (const auto target : lanes.next().targets) {
        if (target == kIgnore) continue;
        seen.insert(target);
        order.push_back(target);
      }
    }
    EXPECT_EQ(seen.size(), total);
    for (const auto& document : documents) {
      for (const auto token : document.tokens) EXPECT_EQ(seen.count(token), 1u) << token;
    }
    if (epoch == 0) first_order = order;
    EXPECT_EQ(order == first_order, epoch == 0) << "each epoch has an order of its own";
  }
}

TEST(Lanes, RowsGoOnAndTargetsAreInputsShiftedByOne) {
  constexpr std::int64_t kWidth = 4;
  constexpr int kLanes = 3;
  const auto documents = numbered_documents({1, 9, 5, 23, 40, 7});
  Lanes lanes(documents, {}, kLanes, kWidth, 3, kIgnore, 4, kBegin);
  EXPECT_EQ(lanes.pieces(), 1 + 1 + 1 + 2 + 4 + 1);
  std::vector<std::int64_t> last(kLanes, kIgnore);
  std::vector<bool> ended(kLanes, true);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 60; ++i) {
    const auto block = lanes.next();
    ASSERT_EQ(block.inputs.size(), std::size_t{kLanes * kWidth});
    ASSERT_EQ(block.targets.size(), block.inputs.size());
    ASSERT_EQ(block.begins.size(), std::size_t{kLanes});
    for (std::size_t row = 0; row < kLanes; ++row) {
      const auto* inputs = &block.inputs[row * kWidth];
      const auto* targets = &block.targets[row * kWidth];
      ASSERT_NE(targets[0], kIgnore) << "no row is empty";
      if (ended[row]) {
        ASSERT_TRUE(block.begins[row]) << "a piece that ended is followed by a piece's begin";
      }
      if (block.begins[row]) {
        ASSERT_EQ(targets[0] % 1000 % (3 * kWidth), 0) << "pieces begin every three blocks";
      } else {
        ASSERT_EQ(inputs[0], last[row]);
      }
      ended[row] = false;
      for (std::int64_t k = 0; k < kWidth; ++k) {
        if (targets[k] == kIgnore) {
          ended[row] = true;
          continue;
        }
        ASSERT_FALSE(ended[row]) << "nothing comes behind a document's end in a block";
        ASSERT_EQ(inputs[k], targets[k] % 1000 == 0 ? kBegin : targets[k] - 1);
        last[row] = targets[k];
        seen.insert(targets[k]);
      }
      const auto length = documents[static_cast<std::size_t>(last[row] / 1000 - 1)].tokens.size();
      const auto next = static_cast<std::size_t>(last[row] % 1000 + 1);
      if (next == length || next % (3 * kWidth) == 0) ended[row] = true;
    }
  }
  EXPECT_EQ(seen.size(), 1u + 9 + 5 + 23 + 40 + 7);
}

TEST(Lanes, RepeatsCountByFileName) {
  auto documents = numbered_documents({5, 5, 5});
  documents[1].name = "text/log-1";
  documents[2].name = "log-folder/text";
  Lanes lanes(documents, {{"log-", 3}}, 1, 8, 4, kIgnore, 1, kBegin);
  ASSERT_EQ(lanes.pieces(), 5);
  std::map<std::int64_t, int> times;
  for (int i = 0; i < 5; ++i) ++times[lanes.next().targets[0]];
  EXPECT_EQ(times, (std::map<std::int64_t, int>{{1000, 1}, {2000, 3}, {3000, 1}}));
}

TEST(Lanes, PositionGoesOnWhereItWas) {
  const auto documents = numbered_documents({1, 9, 5, 23, 40, 7});
  const auto make = [&](int lanes, std::uint64_t seed) {
    return Lanes(documents, {}, lanes, 4, 3, kIgnore, seed, kBegin);
  };
  for (const int taken : {0, 1, 5, 17, 40}) {
    auto lanes = make(3, 4);
    for (int i = 0; i < taken; ++i) lanes.next();
    const auto position = nlohmann::json::parse(lanes.position().dump());
    auto restored = make(3, 4);
    restored.restore(position);
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(same(lanes.next(), restored.next())) << taken << ' ' << i;
  }
  EXPECT_THROW(make(2, 4).restore(make(3, 4).position()), std::runtime_error);
  const auto fewer = numbered_documents({1, 9});
  EXPECT_THROW(Lanes(fewer, {}, 3, 4, 3, kIgnore, 4, kBegin).restore(make(3, 4).position()),
               std::runtime_error);
  EXPECT_FALSE(same(make(3, 4).next(), make(3, 5).next())) << "the seed matters";
}

TEST(Lanes, NothingToTrainOn) {
  EXPECT_THROW(Lanes(numbered_documents({0, 0}), {}, 1, 4, 1, kIgnore, 1, kBegin), std::runtime_error);
}

}  // namespace
}  // namespace unroll
