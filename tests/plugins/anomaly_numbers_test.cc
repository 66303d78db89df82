// What the built-in plugin anomaly says of numbers.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/number_ranges.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

TEST(Anomaly, ANumberOutOfItsFieldsRangeIsNamed) {
  const auto read_with = [](const std::string& options) {
    std::vector<MadeToken> tokens;
    for (int line = 1; line <= 200; ++line)
      tokens.push_back({"GET /" + std::string(1, static_cast<char>('a' + line % 5)) + " " +
                            (line == 150 ? "503" : "200") + " in " + std::to_string(50 + line * 37 % 100) +
                            " ms\n",
                        -2});
    return read("anomaly", options, made_document(tokens, 64));
  };
  const auto outputs = read_with("{}");
  EXPECT_EQ(outputs[149]["number"], (json{{"value", "503"}, {"low", 200}, {"high", 200}}));
  EXPECT_GT(outputs[149]["score"], 3);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(outputs[i].contains("number"), i == 149) << i;
  const auto without = read_with(R"({"numbers":false})");
  EXPECT_FALSE(without[149].contains("number"));
  EXPECT_LT(without[149]["score"], 1);
}

/// The bonus of the last of the lines.
double number_bonus(const std::vector<std::string>& lines) {
  builtin::NumberRanges ranges;
  double bonus = 0;
  for (const std::string& line : lines) bonus = ranges.look(line, builtin::line_shape(line).head).bonus;
  return bonus;
}
/// `usual` lines with numbers from 40 on, `%` replaced; then `last`.
std::vector<std::string> lines_with(const std::string& form, int usual, const std::string& last) {
  std::vector<std::string> lines;
  for (int i = 0; i <= usual; ++i) {
    std::string line = form;
    lines.push_back(line.replace(line.find('%'), 1, i == usual ? last : std::to_string(40 + i * 7 % 10)));
  }
  return lines;
}

TEST(NumberRanges, FieldsAreFoundByKeyOrByPlace) {
  for (const char* form : {"cpu % C fan 1100 rpm", "took %ms", R"({"a":1,"cpu":%,"b":2})", "a=1 cpu=% b=2",
                           "cpu: %", "free -% MB", "at 12:00:01 used %."}) {
    EXPECT_GT(number_bonus(lines_with(form, 100, "9000")), 4) << form;
    EXPECT_EQ(number_bonus(lines_with(form, 100, "51")), 0) << form;
    EXPECT_EQ(number_bonus(lines_with(form, 15, "9000")), 0) << "too few are known: " << form;
  }
  EXPECT_EQ(number_bonus(lines_with("app[%]: started", 100, "9000")), 0) << "a process";
  EXPECT_EQ(number_bonus(lines_with("from 10.1.2.%", 100, "9000")), 0) << "an address";
  EXPECT_EQ(number_bonus(lines_with("used % MB", 100, "9000 of 1")), number_bonus({"used 1 MB"}))
      << "another field";
}

TEST(NumberRanges, TwoOddNumbersOfALineCountMoreThanOne) {
  const auto last = [](const std::string& line) {
    std::vector<std::string> lines(80, "GET /orders 200 in 30 ms");
    lines.push_back(line);
    return number_bonus(lines);
  };
  const double one = last("GET /orders 503 in 30 ms");
  EXPECT_GT(one, 4);
  EXPECT_NEAR(last("GET /orders 503 in 3001 ms"), one + std::log(2), 1e-6);
}

TEST(NumberRanges, TheLinesTimeIsNoNumber) {
  for (const auto& [usual, later] :
       std::vector<std::pair<std::string, std::string>>{{"Mar  2 08:00:00 h", "Mar 31 09:00:00 h"},
                                                        {"2026-03-02 08:00:00,56", "2026-03-02 08:00:01,02"},
                                                        {"[08:00:00,900] a", "[08:00:01,004] a"}}) {
    builtin::NumberRanges ranges;
    for (int i = 0; i < 40; ++i) ranges.look(usual + std::to_string(i % 2) + " app: size=5", 1);
    EXPECT_EQ(ranges.look(later + "1 app: size=5", 1).bonus, 0) << usual;
    EXPECT_GT(ranges.compare(later + "1 app: size=50", 1).bonus, 2) << usual;
  }
}

TEST(NumberRanges, CountersAreNotOddAndWhatComesAgainIsUsual) {
  std::vector<std::string> counter;
  for (int i = 0; i < 100; ++i) counter.push_back("request " + std::to_string(i) + " done");
  counter.push_back("request 90000 done");
  EXPECT_EQ(number_bonus(counter), 0);
  auto lines = lines_with("took % ms", 100, "9000");
  const double first = number_bonus(lines);
  for (int i = 0; i < 5; ++i) lines.push_back("took 9000 ms");
  EXPECT_LT(number_bonus(lines), first / 2);
  for (int i = 0; i < 20; ++i) lines.push_back("took 9000 ms");
  EXPECT_EQ(number_bonus(lines), 0);
}

}  // namespace
}  // namespace unroll::testing
