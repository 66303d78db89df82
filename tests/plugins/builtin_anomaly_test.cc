// The built-in plugin anomaly: what it ranks high, what it calls an alert, what it keeps.
#include <cmath>
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
using ::testing::IsSupersetOf;

TEST(Anomaly, APlantedLineRanksFirst) {
  constexpr int kOdd = 251;
  std::vector<MadeToken> tokens;
  for (int line = 1; line <= 400; ++line) {
    const float usual = -0.5f - 0.01f * static_cast<float>(line % 7);
    const auto number = std::to_string(line);
    tokens.push_back({"10:00:" + number, usual});
    tokens.push_back(
        {line == kOdd ? " kernel: segfault at" : " accepted connection from", line == kOdd ? -9 : usual});
    tokens.push_back({" 10.0.0." + number + "\n", line == kOdd ? -6 : usual});
  }
  const auto document = made_document(tokens, 10);
  const auto outputs = read("anomaly", R"({"top":3})", document);
  ASSERT_EQ(outputs.size(), 401u);
  for (int line = 1; line <= 400; ++line)
    EXPECT_EQ(outputs[static_cast<std::size_t>(line) - 1]["line"], line);
  const auto& result = outputs.back();
  EXPECT_EQ(result["lines"], 400);
  ASSERT_EQ(result["top"].size(), 3u);
  EXPECT_EQ(result["top"][0]["line"], kOdd);
  EXPECT_EQ(result["top"][0]["text"], "10:00:251 kernel: segfault at 10.0.0.251");
  EXPECT_EQ(shown(document, result["top"][0]), result["top"][0]["text"]);
  EXPECT_EQ(result["top"][0]["score"], outputs[kOdd - 1]["score"]);
  EXPECT_GT(result["top"][0]["score"].get<double>(), 2 * result["top"][1]["score"].get<double>());
}

/// `count` lines of which every `each`th is unlike the others.
SyntheticDocument log_with_odd_lines(int count, int each) {
  std::vector<MadeToken> tokens;
  for (int line = 1; line <= count; ++line) {
    const bool odd = line % each == 0;
    const float usual = -0.5f - 0.01f * static_cast<float>(line % 7);
    tokens.push_back(
        {odd ? "panic" + std::string(static_cast<std::size_t>(line / each % 9), 'x') : "all is well",
         odd ? -9 : usual});
    tokens.push_back({" at " + std::to_string(line) + "\n", usual});
  }
  return made_document(tokens, 64);
}

TEST(Anomaly, AWindowsOddestLinesAreToldAtItsEnd) {
  const auto document = log_with_odd_lines(1050, 250);
  std::vector<json> windows;
  for (auto& output : read("anomaly", R"({"top":2,"top_window":500})", document)) {
    if (output.contains("type") && output["type"] == "window") windows.push_back(output);
  }
  ASSERT_EQ(windows.size(), 2u);
  for (int i = 0; i < 2; ++i) {
    const json& window = windows[static_cast<std::size_t>(i)];
    EXPECT_EQ(window["first_line"], i * 500 + 1);
    EXPECT_EQ(window["last_line"], (i + 1) * 500);
    ASSERT_EQ(window["top"].size(), 2u);
    EXPECT_EQ(window["top"][0]["line"].get<int>() + window["top"][1]["line"].get<int>(), i * 1000 + 750);
    EXPECT_EQ(shown(document, window["top"][0]), window["top"][0]["text"]);
  }
}

TEST(Anomaly, AlertsAreMarkedWhereTheyAreAskedFor) {
  const auto document = log_with_odd_lines(1000, 250);
  for (const auto& output : read("anomaly", "{}", document)) {
    EXPECT_FALSE(output.contains("alert")) << output;
    EXPECT_FALSE(output.contains("alerts")) << output;
  }
  const auto outputs = read("anomaly", R"({"top":3,"alert_rate":4})", document);
  std::vector<int> alerts;
  for (const auto& output : outputs) {
    if (output.contains("alert")) alerts.push_back(output["line"].get<int>());
  }
  EXPECT_THAT(alerts, IsSupersetOf({250, 500, 750, 1000}));
  EXPECT_LE(alerts.size(), 4 + AlertRate::kMostAllowance);
  EXPECT_EQ(outputs.back()["alerts"], alerts.size());
  EXPECT_EQ(outputs.back()["top"][0]["alert"], true);
}

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
  for (int i = 0; i < 20; ++i) table.learn(1, features);
  for (std::uint64_t other = 2; other < 3 * builtin::ShapeTable::kMaxShapes; ++other)
    table.learn(other, features);
  ASSERT_NE(table.find(1), nullptr);
  EXPECT_EQ(table.find(1)->count, 20u);
  EXPECT_EQ(table.find(2), nullptr);
}

TEST(LineSeverity, TheProgramsLevelCountsBeforeItsWords) {
  using builtin::line_severity;
  EXPECT_EQ(line_severity("RAS KERNEL FATAL data TLB interrupt"), 3);
  EXPECT_EQ(line_severity("RAS KERNEL INFO cache parity error corrected"), 0);
  EXPECT_EQ(line_severity("10:01 [error] client gone"), 2);
  EXPECT_EQ(line_severity("10:01 <warning> low on space"), 1);
  EXPECT_EQ(line_severity("sshd[12]: Failed password for root"), 2);
  EXPECT_EQ(line_severity("kernel: Panic: giving up"), 3);
  EXPECT_EQ(line_severity("session opened, alert and well"), 0) << "no field, so no level";
  EXPECT_EQ(line_severity("no news is information"), 0);
  EXPECT_EQ(line_severity(""), 0);
}

/// The score of a line of a shape that came every `each`th line of a log, all lines alike in surprisal.
double score_of_severity(int severity, int each) {
  builtin::LineModel model;
  double score = 0;
  for (int line = 1; line <= 2000; ++line) {
    const bool this_one = line % each == 0;
    const std::uint64_t shape = this_one ? 3 : 1;
    const double last = model.score({shape, shape + 1}, {10, 1, 3}, this_one ? severity : 0);
    if (this_one) score = last;
  }
  return score;
}

TEST(LineModel, WhatCallsItselfFatalStaysOddHoweverOftenItsShapeCame) {
  EXPECT_GT(score_of_severity(3, 20), score_of_severity(0, 20) + 3);
}

TEST(LineModel, ASeverityThatEveryLineHasSaysNothing) {
  EXPECT_LT(score_of_severity(3, 1), score_of_severity(0, 1) + 0.1);
}

}  // namespace
}  // namespace unroll::testing
