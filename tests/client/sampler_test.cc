// Drawing from a distribution.
#include "client/commands/sampler.h"

#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include <gtest/gtest.h>

namespace unroll {
namespace {

const std::vector<double> kShares = {0.1, 0.4, 0, 0.3, 0.2};

std::vector<float> logprobs(const std::vector<double>& shares) {
  std::vector<float> result;
  for (const double share : shares) result.push_back(static_cast<float>(std::log(share)));
  return result;
}

/// How often each token is drawn in 20,000 draws.
std::map<std::int32_t, double> frequencies(const SamplerOptions& options) {
  constexpr int kDraws = 20'000;
  Sampler sampler(options);
  std::map<std::int32_t, double> result;
  for (int i = 0; i < kDraws; ++i) result[sampler.draw(logprobs(kShares))] += 1.0 / kDraws;
  return result;
}

void expect_shares(const std::map<std::int32_t, double>& actual,
                   const std::map<std::int32_t, double>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [token, share] : expected) {
    ASSERT_TRUE(actual.contains(token)) << token;
    EXPECT_NEAR(actual.at(token), share, 0.015) << token;
  }
}

TEST(Sampler, DrawsAsTheDistributionSays) {
  expect_shares(frequencies({}), {{0, 0.1}, {1, 0.4}, {3, 0.3}, {4, 0.2}});
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  // p^2 and sqrt(p), normalised
  expect_shares(frequencies({.temperature = 0.5}),
                {{0, 0.01 / 0.3}, {1, 0.16 / 0.3}, {3, 0.09 / 0.3}, {4, 0.04 / 0.3}});
  const double sum = std::sqrt(0.1) + std::sqrt(0.4) + std::sqrt(0.3) + std::sqrt(0.2);
  expect_shares(frequencies({.temperature = 2}), {{0, std::sqrt(0.1) / sum},
                                                  {1, std::sqrt(0.4) / sum},
                                                  {3, std::sqrt(0.3) / sum},
                                                  {4, std::sqrt(0.2) / sum}});
  expect_shares(frequencies({.temperature = 0}), {{1, 1}});
}

TEST(Sampler, OnlyTheTop) {
  expect_shares(frequencies({.top_k = 2}), {{1, 4.0 / 7}, {3, 3.0 / 7}});
  expect_shares(frequencies({.top_k = 100}), {{0, 0.1}, {1, 0.4}, {3, 0.3}, {4, 0.2}});
  // 0.4 + 0.3 do not reach 0.8; 0.2 does.
  expect_shares(frequencies({.top_p = 0.8}), {{1, 4.0 / 9}, {3, 3.0 / 9}, {4, 2.0 / 9}});
  expect_shares(frequencies({.top_p = 0}), {{1, 1}});
  expect_shares(frequencies({.top_k = 2, .top_p = 0.5}), {{1, 1}});  // 4/7 of the two are enough
}

TEST(Sampler, OfEqualsTheFirst) {
  EXPECT_EQ(Sampler({.temperature = 0}).draw(logprobs({0.2, 0.4, 0.4})), 1);
  EXPECT_EQ(Sampler({.top_k = 1}).draw(logprobs({0.2, 0.4, 0.4})), 1);
}

TEST(Sampler, TheSameSeedDrawsTheSame) {
  const auto draws = [](std::uint64_t seed) {
    Sampler sampler({.seed = seed});
    std::vector<std::int32_t> result;
    for (int i = 0; i < 50; ++i) result.push_back(sampler.draw(logprobs(kShares)));
    return result;
  };
  EXPECT_EQ(draws(5), draws(5));
  EXPECT_NE(draws(5), draws(6));
}

TEST(Sampler, NothingToDrawFrom) {
  const float none = -std::numeric_limits<float>::infinity();
  EXPECT_THROW(Sampler({}).draw(std::vector<float>{none, none}), std::runtime_error);
  EXPECT_THROW(Sampler({}).draw(std::vector<float>{std::nanf("")}), std::runtime_error);
}

}  // namespace
}  // namespace unroll
