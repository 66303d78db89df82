// The parts of the built-in plugin anomaly: the model of lines, and when a score is an alert.
#include <functional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/alert_rate.h"
#include "plugins/builtin/line_model.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using builtin::AlertRate;

/// How many of `count` scores are alerts.
int alerts_of(AlertRate& rate, int count, const std::function<double(int)>& score) {
  int alerts = 0;
  for (int i = 0; i < count; ++i) alerts += rate.alerts(score(i)) ? 1 : 0;
  return alerts;
}

TEST(AlertRate, KeepsItsShareWhateverTheScoresAreLike) {
  for (const double share : {0.001, 0.01, 0.1}) {
    for (int kind = 0; kind < 4; ++kind) {
      std::mt19937 random(7);
      std::normal_distribution<double> normal;
      std::exponential_distribution<double> skewed(1);
      constexpr int kLines = 40000;
      const auto score = [&](int i) {
        const double place = static_cast<double>(i) / kLines;
        if (kind == 0) return normal(random);
        if (kind == 1) return skewed(random) * 3;
        if (kind == 2) return normal(random) + 8 * place;                            // drifts upwards
        return normal(random) * (2 + std::sin(20 * place)) + (place > 0.5 ? 4 : 0);  // changes, and jumps
      };
      AlertRate rate(share);
      const double expected = share * kLines;
      EXPECT_NEAR(alerts_of(rate, kLines, score), expected, 0.15 * expected + 2 * AlertRate::kMostAllowance)
          << share << " kind " << kind;
    }
  }
}

TEST(AlertRate, NoneWhileWarmingUp) {
  AlertRate rate(0.5);
  EXPECT_EQ(alerts_of(rate, AlertRate::kWarmUp, [](int i) { return i; }), 0);
}

TEST(AlertRate, ABurstIsCutShortAndThenForgotten) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  const auto usual = [&](int) { return normal(random); };
  AlertRate rate(0.01);
  alerts_of(rate, 5000, usual);
  const int burst = alerts_of(rate, 500, [](int i) { return 20 + i % 3; });
  EXPECT_GE(burst, 1);
  EXPECT_LE(burst, 0.01 * 500 + 2 * AlertRate::kMostAllowance + 1);
  alerts_of(rate, 2000, usual);
  EXPECT_NEAR(alerts_of(rate, 5000, usual), 50, 15) << "it is as it was before the burst";
  EXPECT_EQ(alerts_of(rate, 1, [](int) { return 20; }), 1) << "what was odd then is odd again";
}

TEST(AlertRate, AScoreThatGrowsForeverDoesNotFlood) {
  AlertRate rate(0.01);
  EXPECT_LE(alerts_of(rate, 10000, [](int i) { return i * 0.01; }), 100 + 2 * AlertRate::kMostAllowance + 1);
}

TEST(LineModel, LinesOfShapesOfTheirOwnDoNotPushOutWhatRecurs) {
  builtin::ShapeTable table;
  const builtin::Features features = {1, 1, 1};
  for (int i = 0; i < 20; ++i) table.touch(1).update(features, 200);
  for (std::uint64_t other = 2; other < 3 * builtin::ShapeTable::kCapacity; ++other)
    table.touch(other).update(features, 200);
  ASSERT_NE(table.find(1), nullptr);
  EXPECT_EQ(table.find(1)->count, 20u);
  EXPECT_EQ(table.find(2), nullptr);
}

TEST(LineShape, OneLogStatementHasOneShape) {
  const auto shape = [](const char* line) { return builtin::line_shape(line).whole; };
  EXPECT_EQ(shape("12:30:11 node R02-M1-N0-C:J12-U11 took 5ms"),
            shape("09:01:59 node R30-M0-NC-I:J18-U01 took 17ms"));
  EXPECT_EQ(shape("sshd[24200]:  ok"), shape("sshd[7]: ok"));
  EXPECT_EQ(shape(R"({"time":1,"event":"open"})"), shape(R"({"time":22,"event":"open"})"));
  EXPECT_NE(shape(R"({"time":1,"event":"open"})"), shape(R"({"time":1,"event":"close"})"));
  EXPECT_NE(shape("disk full"), shape("disk free"));
  EXPECT_EQ(builtin::line_shape("a b c d e").head, builtin::line_shape("a b c d f g").head);
  EXPECT_NE(builtin::line_shape("a b c d e").head, builtin::line_shape("a b c x e").head);
}

/// The score of a line whose shape comes every `each`th line of a log, with equal surprisal for all lines.
double score_of_severity(int severity, int each) {
  builtin::LineModel model;
  double score = 0;
  for (int line = 1; line <= 2000; ++line) {
    const bool this_one = line % each == 0;
    const std::uint64_t shape = this_one ? 3 : 1;
    const double last = model.score({shape, shape + 1}, {10, 1, 3}, {this_one ? severity : 0}).total;
    if (this_one) score = last;
  }
  return score;
}

/// The score of a new line of level information after 1,000 lines, of which `levels` state their level.
double score_of_new_routine_line(int levels) {
  builtin::LineModel model;
  for (int line = 0; line < 1000; ++line) model.score({1, 2}, {10, 1, 3}, {0, line % 1000 < levels});
  return model.score({3, 4}, {200, 5, 12}, {0, true}).total;
}

TEST(LineModel, ARoutineLevelSaysLittleInALogWithoutLevels) {
  const double foreign = score_of_new_routine_line(0), own = score_of_new_routine_line(1000);
  EXPECT_GT(foreign, 10);
  EXPECT_LT(own, 9);
  EXPECT_GT(score_of_new_routine_line(500), own);
}

/// The highest score of errors, a level that the program wrote, in every `each`th of 900 lines, at their end.
double score_of_written_error(int each) {
  builtin::LineModel model;
  double score = 0;
  for (int line = 1; line <= 900; ++line) {
    const bool error = line % each == 0;
    const double last = model.score({error ? 3u : 1u, 2}, {10, 1, 3}, {error ? 2 : 0, true}).total;
    if (error) score = last;
  }
  return score;
}

TEST(LineModel, AnErrorIsOddAsLongAsErrorsAreRare) {
  EXPECT_GT(score_of_written_error(100), 7);
  EXPECT_LT(score_of_written_error(3), 4);
}

TEST(LineModel, APartOfTheScoreIsNotLost) {
  builtin::LineModel model;
  for (int line = 0; line < 300; ++line) model.score({1, 2}, {10, 1, 3}, {0, true});
  const auto score = model.score({3, 4}, {200, 5, 12}, {2, true, false, 3});
  EXPECT_NEAR(score.total, score.surprisal + score.novelty + score.numbers + score.severity, 1e-9);
  EXPECT_GT(score.surprisal, 0);
  EXPECT_GT(score.novelty, 1);
  EXPECT_GT(score.severity, 5);
  const auto unread = model.score({3, 4}, {0, 0, 0, false}, {2, true});
  EXPECT_EQ(unread.surprisal, 0);
}

TEST(LineModel, WhatCallsItselfFatalStaysOddHoweverOftenItsShapeCame) {
  EXPECT_GT(score_of_severity(3, 20), score_of_severity(0, 20) + 3);
}

TEST(LineModel, ASeverityThatEveryLineHasSaysNearlyNothing) {
  EXPECT_LT(score_of_severity(3, 1), score_of_severity(0, 1) + 0.2);
}

}  // namespace
}  // namespace unroll::testing
