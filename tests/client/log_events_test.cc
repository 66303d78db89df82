// Odd lines as events, context, and the text that is kept while a log is read.
#include "client/logs/log_events.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/logs/line_context.h"
#include "client/sources/read_text.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::IsEmpty;

LogEvent line_at(std::uint64_t line, double score, const std::string& text) {
  LogEvent event;
  event.line = line;
  event.score = score;
  event.text = text;
  event.object = {{"line", line}};
  return event;
}

/// "score count first-last" of each.
std::vector<std::string> told(const LogEvents& events) {
  std::vector<std::string> told;
  for (const LogEvent* event : events.best(100))
    told.push_back(std::to_string(static_cast<int>(event->score)) + " " + std::to_string(event->count) + " " +
                   std::to_string(event->first_line) + "-" + std::to_string(event->last_line));
  return told;
}

TEST(LogEvents, LinesWithTheSameWordsAreOneEventWithACount) {
  LogEvents events(10);
  events.add(line_at(3, 6, "disk 7 lost"));
  events.add(line_at(9, 8, "disk 8 lost"));
  events.add(line_at(20, 5, "disk 9 lost"));
  events.add(line_at(30, 4, "fan stopped"));
  EXPECT_THAT(told(events), ElementsAre("8 3 3-3", "4 1 30-30"));
  const json object = event_object(*events.best(1)[0]);
  EXPECT_EQ(object["line"], 9) << "the oddest stands for the event";
  EXPECT_EQ(object["count"], 3);
  EXPECT_EQ(object["repeats"], json({3, 20}));
  EXPECT_FALSE(object.contains("neighbours"));
}

TEST(LogEvents, LinesWithUsualNumbersAreNotLikeThatWithAnOddOne) {
  LogEvents events(10);
  const auto odd = [](std::uint64_t line, const std::string& text, const std::string& number) {
    LogEvent event = line_at(line, 5, text);
    event.odd_number = number;
    return event;
  };
  events.add(line_at(1, 2, "fan 900 rpm"));
  events.add(odd(5, "fan 0 rpm", " (0: 900 to 910 before)"));
  events.add(line_at(9, 2, "fan 905 rpm"));
  events.add(odd(12, "fan 1 rpm", " (1: 890 to 910 before)"));
  EXPECT_THAT(told(events), ElementsAre("5 2 5-5", "2 2 1-1"));
  EXPECT_EQ(events.best(1)[0]->told_text(), "fan 0 rpm (0: 900 to 910 before)");
}

TEST(LogEvents, ALineThatIsFarLessOddIsNoRepetition) {
  LogEvents events(10);
  events.add(line_at(1, 0.5, "status 200 sent"));
  events.add(line_at(5, 9, "status 503 sent"));
  events.add(line_at(9, 0.5, "status 200 sent"));
  EXPECT_THAT(told(events), ElementsAre("9 1 5-5"));
}

TEST(LogEvents, OddLinesThatFollowEachOtherAreOneEvent) {
  LogEvents events(10);
  events.add(line_at(3, 6, "pool is empty"));
  events.add(line_at(4, 9, "request lost"));
  events.add(line_at(5, 1, "slow"));
  events.add(line_at(7, 5, "fan stopped"));
  EXPECT_THAT(told(events), ElementsAre("9 1 3-4", "5 1 7-7", "1 1 5-5"));
  const json object = event_object(*events.best(1)[0]);
  EXPECT_EQ(object["line"], 4);
  EXPECT_EQ(object["first_line"], 3);
  EXPECT_EQ(object["last_line"], 4);
  EXPECT_EQ(object["neighbours"], json::parse(R"([{"line":3,"score":6.0,"text":"pool is empty"}])"));
}

TEST(LogEvents, WhatFollowsARepetitionIsAnEventOfItsOwn) {
  LogEvents events(10);
  events.add(line_at(1, 6, "pool is empty"));
  events.add(line_at(2, 6, "request lost"));
  events.add(line_at(8, 6, "pool is empty"));
  events.add(line_at(9, 6, "request lost"));
  events.add(line_at(10, 6, "fan stopped"));
  EXPECT_THAT(told(events), ElementsAre("6 2 1-2", "6 1 10-10"));
}

TEST(LogEvents, LinesOfOtherLogsDoNotFollow) {
  LogEvents events(10);
  events.add(line_at(1, 6, "pool is empty"));
  LogEvent other = line_at(2, 6, "request lost");
  other.log = 1;
  events.add(std::move(other));
  EXPECT_THAT(told(events), ElementsAre("6 1 1-1", "6 1 2-2"));
}

TEST(LogEvents, TheLinesOfARecordAreOneEventThatItsFirstLineStandsFor) {
  LogEvents events(10);
  events.add(line_at(3, 6, "job failed"));
  LogEvent frame = line_at(5, 2, "at a.b");
  frame.record = 3;
  frame.is_frame = true;
  events.add(std::move(frame));
  LogEvent cause = line_at(9, 8, "Caused by: x");
  cause.record = 3;
  events.add(std::move(cause));
  ASSERT_THAT(told(events), ElementsAre("8 1 3-9"));
  EXPECT_EQ(events.best(1)[0]->text, "job failed");
  EXPECT_EQ(events.best(1)[0]->neighbours.size(), 1u) << "a step of a stack says nothing";
  events.show_records(1, {{3, "of another log"}});
  EXPECT_EQ(events.best(1)[0]->shown_text(), "job failed");
  events.show_records(0, {{3, "job failed | Caused by: x"}});
  EXPECT_EQ(events.best(1)[0]->shown_text(), "job failed | Caused by: x");
}

TEST(LogEvents, AnAlertOfOneLineIsOneOfTheEvent) {
  LogEvents events(10);
  LogEvent first = line_at(1, 6, "pool is empty");
  first.alert = true;
  events.add(std::move(first));
  events.add(line_at(2, 9, "request lost"));
  EXPECT_EQ(event_object(*events.best(1)[0])["alert"], true);
}

TEST(LogEvents, TheMostUnusualOnesAreKept) {
  LogEvents events(1);
  const auto name = [](int i) {
    std::string name;
    for (; i > 0; i /= 10) name += static_cast<char>('a' + i % 10);
    return name;
  };
  for (int i = 1; i <= 50'000; ++i) {
    const double score = i == 777 ? 99 : i % 2 == 0 ? 1 : 2;
    if (events.wants(score)) events.add(line_at(static_cast<std::uint64_t>(2 * i), score, name(i)));
  }
  EXPECT_EQ(events.best(1)[0]->line, 1554u);
  EXPECT_LE(events.best(1'000'000).size(), 4000u);
  EXPECT_FALSE(events.wants(1));
  EXPECT_TRUE(events.wants(3));
  events.add(line_at(200'000, 99, name(777)));
  EXPECT_EQ(events.best(1)[0]->count, 2u) << "what was kept is known";
}

std::vector<json> with_context(std::size_t lines, const std::vector<int>& odd) {
  std::vector<json> emitted;
  LineContext context(lines, [&](const ordered_json& object) { emitted.push_back(object); });
  for (std::size_t i = 0; i < odd.size(); ++i)
    context.add({{"line", i}}, "text " + std::to_string(i), odd[i] != 0);
  context.flush();
  return emitted;
}

TEST(LineContext, OddLinesHaveTheLinesAroundThem) {
  const auto lines = with_context(2, {1, 0, 0, 1, 0});
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0]["context"], json::parse(R"({"before":[],"after":["text 1","text 2"]})"));
  EXPECT_FALSE(lines[1].contains("context"));
  EXPECT_EQ(lines[3]["context"], json::parse(R"({"before":["text 1","text 2"],"after":["text 4"]})"));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(lines[i]["line"], i);
  EXPECT_FALSE(with_context(0, {1})[0].contains("context"));
}

TEST(RecentText, HoldsWhatIsNotForgotten) {
  RecentText text;
  text.add("0123");
  text.add("456789");
  EXPECT_EQ(text.text(2, 6), "2345");
  EXPECT_EQ(text.text(8, 20), "89");
  EXPECT_EQ(text.text(20, 30), "");
  const std::string many(3 << 20, 'x');
  text.add(many);
  text.forget(5);
  EXPECT_EQ(text.text(4, 7), "456") << "a little is kept";
  text.forget(2 << 20);
  EXPECT_EQ(text.text(4, 7), "");
  EXPECT_EQ(text.text((2 << 20) - 1, (2 << 20) + 2), "xx");
  text.add("end");
  EXPECT_EQ(text.text(10 + many.size(), 13 + many.size()), "end");
}

}  // namespace
}  // namespace unroll
