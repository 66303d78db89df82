// What the built-in plugin anomaly says of sessions.
#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/open_sessions.h"
#include "plugins/builtin/session_key.h"
#include "plugins/builtin/session_model.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

TEST(SessionKey, IsTheWordBehindTheMark) {
  using builtin::session_key;
  EXPECT_EQ(session_key("sshd[24200]: Failed password", "sshd["), "24200");
  EXPECT_EQ(session_key("Received block blk_-1608 of size 91", "blk_"), "-1608");
  EXPECT_EQ(session_key("the id is id=a-b_c.7.", "id="), "a-b_c.7");
  EXPECT_EQ(session_key("id=, then id=9", "id="), "9") << "a mark without a word is passed over";
  EXPECT_EQ(session_key("nothing of it", "id="), "");
  EXPECT_EQ(session_key("id=" + std::string(100, 'x'), "id=").size(), builtin::kMostSessionKey);
  EXPECT_EQ(builtin::without_key("blk_7 to blk_7, 7 left", "7"), "blk_ to blk_,  left");
}

/// The scores of sessions in the order of the list, each given by the shapes of its lines.
std::vector<double> session_scores(const std::vector<std::vector<std::uint64_t>>& sessions) {
  builtin::SessionModel model;
  std::vector<double> scores;
  for (const auto& shapes : sessions) {
    builtin::Session session;
    for (const auto shape : shapes) model.add(session, shape);
    scores.push_back(model.close(session));
  }
  return scores;
}

TEST(SessionModel, WhatIsMissingRepeatedStrangeOrOutOfOrderIsOdder) {
  const std::vector<std::uint64_t> usual = {1, 2, 2, 2, 3, 4};
  for (const std::vector<std::uint64_t>& odd : std::vector<std::vector<std::uint64_t>>{
           {1, 2, 2, 3, 4}, {1, 2, 2, 2}, {1, 2, 2, 2, 2, 3, 4}, {1, 2, 2, 9, 2, 3, 4}, {1, 3, 2, 2, 2, 4}}) {
    std::vector<std::vector<std::uint64_t>> sessions(200, usual);
    sessions.push_back(odd);
    sessions.push_back(usual);
    const auto scores = session_scores(sessions);
    EXPECT_GT(scores[200], scores[201] + 3) << ::testing::PrintToString(odd);
  }
}

TEST(SessionModel, TheOrderOfLinesThatComeInAnyOrderSaysNothing) {
  std::mt19937 random(7);
  std::vector<std::vector<std::uint64_t>> sessions;
  for (int i = 0; i < 400; ++i) {
    std::vector<std::uint64_t> shapes = {2, 2, 2, 3, 3, 3};
    std::shuffle(shapes.begin(), shapes.end(), random);
    shapes.insert(shapes.begin(), 1);
    sessions.push_back(shapes);
  }
  sessions.push_back({1, 2, 2, 3, 3, 3});
  const auto scores = session_scores(sessions);
  EXPECT_GT(scores.back(), *std::max_element(scores.begin() + 100, scores.end() - 1));
}

TEST(OpenSessions, WhoHasBeenSilentLongestMakesRoom) {
  builtin::OpenSessions open;
  for (std::uint64_t i = 0; i < builtin::OpenSessions::kMost; ++i)
    open.of(std::to_string(i)).last_line = i == 7 ? 0 : i + 1;
  EXPECT_TRUE(open.has_room_for("7"));
  EXPECT_FALSE(open.has_room_for("another"));
  EXPECT_EQ(open.take_longest_silent().key, "7");
  EXPECT_TRUE(open.has_room_for("another"));
  EXPECT_EQ(open.of("2047").last_line, 2048u) << "the one that took its place is still found";
  const auto rest = open.take_all();
  EXPECT_EQ(rest.size(), builtin::OpenSessions::kMost - 1);
  EXPECT_EQ(rest.front().key, "0");
  EXPECT_EQ(rest.back().key, "2047");
}

/// `count` sessions, four at a time, each of three lines, except `odd`, which lacks the second.
SyntheticDocument log_of_sessions(int count, int odd) {
  std::vector<MadeToken> tokens;
  for (int begin = 0; begin < count; begin += 4) {
    for (const char* text : {"open", "read", "close"}) {
      for (int i = begin; i < begin + 4; ++i) {
        if (i == odd && text == std::string("read")) continue;
        tokens.push_back({text, -1});
        tokens.push_back({" job_" + std::to_string(i) + "\n", -1});
      }
    }
    tokens.push_back({"tick, of no session\n", -1});
  }
  return made_document(tokens, 64);
}

TEST(Anomaly, TheSessionThatLacksALineRanksFirst) {
  const auto document = log_of_sessions(400, 257);
  const auto outputs = read("anomaly", R"({"top":3,"session":"job_"})", document);
  int sessions = 0;
  for (const auto& output : outputs)
    sessions += output.contains("type") && output["type"] == "session" ? 1 : 0;
  EXPECT_EQ(sessions, 400);
  const auto& result = outputs.back();
  EXPECT_EQ(result["sessions"], 400);
  ASSERT_EQ(result["top_sessions"].size(), 3u);
  const auto& first = result["top_sessions"][0];
  EXPECT_EQ(first["session"], "257");
  EXPECT_EQ(first["lines"], 2);
  EXPECT_GT(first["score"].get<double>(), 2 * result["top_sessions"][1]["score"].get<double>());
  EXPECT_EQ(shown(document, first).substr(0, 12), "open job_257");
}

TEST(Anomaly, MoreSessionsThanMayBeOpenAreClosedOnTheWay) {
  constexpr int kSessions = 3 * builtin::OpenSessions::kMost;
  std::vector<MadeToken> tokens;
  for (int i = 0; i < kSessions; ++i) tokens.push_back({"open job_" + std::to_string(i) + "\n", -1});
  const auto outputs = read("anomaly", R"({"session":"job_"})", made_document(tokens, 64));
  EXPECT_EQ(outputs.back()["sessions"], kSessions);
  const auto closed_early = std::find_if(outputs.begin(), outputs.end(), [](const auto& output) {
    return output.contains("type") && output["type"] == "session";
  });
  ASSERT_NE(closed_early, outputs.end());
  EXPECT_EQ((*closed_early)["session"], "0");
  EXPECT_LT(closed_early - outputs.begin(), kSessions - 1);
}

TEST(Anomaly, WithoutAMarkNothingIsSaidOfSessions) {
  for (const auto& output : read("anomaly", "{}", log_of_sessions(8, -1))) {
    EXPECT_FALSE(output.contains("session")) << output;
    EXPECT_FALSE(output.contains("sessions")) << output;
  }
}

}  // namespace
}  // namespace unroll::testing
