#include "model/cpu/top_tokens.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace unroll {
namespace {

/// With many equal ones.
std::vector<float> random_logits(std::size_t count) {
  std::mt19937 random(5);
  std::vector<float> logits(count);
  for (auto& logit : logits) logit = static_cast<float>(random() % 300);
  return logits;
}

std::vector<std::int32_t> ids_of(std::span<const TopTokens::Token> tokens) {
  std::vector<std::int32_t> ids;
  for (const auto& token : tokens) ids.push_back(token.id);
  return ids;
}

TEST(TopTokens, AreTheMostProbableInWhateverOrderPiecesCome) {
  const auto logits = random_logits(1000);
  std::vector<std::int32_t> wanted(logits.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = static_cast<std::int32_t>(i);
  std::ranges::stable_sort(wanted, std::greater<>(),
                           [&](auto id) { return logits[static_cast<std::size_t>(id)]; });
  for (const std::size_t count : {1, 7, 999, 1000}) {
    TopTokens forwards(count), backwards(count), threaded(count);
    const auto add = [&](TopTokens& to, std::size_t piece) {
      to.add(static_cast<std::int32_t>(100 * piece), std::span(logits).subspan(100 * piece, 100));
    };
    for (std::size_t i = 0; i < 10; ++i) add(forwards, i), add(backwards, 9 - i);
    std::thread other([&] {
      for (std::size_t i = 0; i < 5; ++i) add(threaded, i);
    });
    for (std::size_t i = 5; i < 10; ++i) add(threaded, i);
    other.join();
    const std::vector<std::int32_t> best(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(count));
    EXPECT_EQ(ids_of(forwards.sorted()), best);
    EXPECT_EQ(ids_of(backwards.sorted()), best);
    EXPECT_EQ(ids_of(threaded.sorted()), best);
  }
}

TEST(TopTokens, OfNoNumbersThereAreAsMany) {
  TopTokens top(2);
  const std::vector<float> logits(5, std::numeric_limits<float>::quiet_NaN());
  top.add(0, logits);
  EXPECT_EQ(ids_of(top.sorted()), (std::vector<std::int32_t>{0, 1}));
}

}  // namespace
}  // namespace unroll
