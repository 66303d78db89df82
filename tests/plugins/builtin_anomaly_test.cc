// The built-in plugin anomaly: its ranking, its alerts, its memory.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/alert_rate.h"
#include "plugins/builtin/line_model.h"
#include "plugins/builtin/number_ranges.h"
#include "plugins/builtin/open_sessions.h"
#include "plugins/builtin/rate_watch.h"
#include "plugins/builtin/session_key.h"
#include "plugins/builtin/session_model.h"
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
  EXPECT_EQ(result["top"][0]["text"], shown(document, result["top"][0]));
  EXPECT_EQ(result["top"][0]["score"], outputs[kOdd - 1]["score"]);
  EXPECT_GT(result["top"][0]["score"].get<double>(), 2 * result["top"][1]["score"].get<double>());
}

/// Words as tokens. Bytes of escape sequences are as surprising as nothing else, so it shows if they count.
SyntheticDocument read_by_words(const std::string& text) {
  std::vector<MadeToken> tokens;
  for (const char c : text) {
    const bool begins = tokens.empty() || c == ' ' || c == '\x1b' || tokens.back().text.ends_with('\n');
    if (begins) tokens.push_back({"", c == '\x1b' ? -15.0f : -1.0f});
    tokens.back().text += c;
    // The text after an escape sequence is a token of its own.
    if (c == 'm' && tokens.back().text[0] == '\x1b') tokens.push_back({"", -1});
  }
  std::erase_if(tokens, [](const MadeToken& token) { return token.text.empty(); });
  return made_document(tokens, 16);
}

std::vector<json> lines_of(const std::vector<json>& outputs) {
  std::vector<json> lines;
  for (const auto& output : outputs) {
    if (output.contains("line")) lines.push_back(output);
  }
  return lines;
}

TEST(Anomaly, ColoursDoNotChangeTheScores) {
  std::string plain, coloured;
  for (int i = 1; i <= 300; ++i) {
    const std::string level = i % 97 == 0 ? "ERROR" : "INFO";
    const std::string rest = " served request " + std::to_string(i % 7) + "\n";
    plain += level + rest;
    coloured += "\x1b[3" + std::to_string(i % 8) + "m" + level + "\x1b[0m" + rest;
  }
  const auto expected = read("anomaly", "{}", read_by_words(plain));
  const auto outputs = read("anomaly", "{}", read_by_words(coloured));
  ASSERT_EQ(outputs.size(), expected.size());
  for (std::size_t i = 0; i < 300; ++i) EXPECT_EQ(outputs[i]["score"], expected[i]["score"]) << i;
  EXPECT_EQ(outputs.back()["top"][0]["line"], 97);
  EXPECT_EQ(outputs.back()["top"][0]["text"], "ERROR served request 6");
}

TEST(Anomaly, TheStateOfAProgressBarIsItsLast) {
  std::string text;
  for (int i = 1; i <= 200; ++i) {
    for (int percent = 10; percent < 100; percent += 30)
      text += "pulling " + std::to_string(percent) + " %\r";
    text += i == 150 ? "ERROR: checksum does not match\n" : "pulled layer\n";
  }
  const auto document = read_by_words(text);
  const auto outputs = read("anomaly", R"({"top":1})", document);
  EXPECT_EQ(outputs.back()["lines"], 200);
  EXPECT_EQ(outputs.back()["top"][0]["line"], 150);
  EXPECT_EQ(shown(document, outputs[149]), "ERROR: checksum does not match");
}

TEST(Anomaly, PartsOfARecordThatItsCarrierSplitAreOne) {
  const std::string time = "2026-03-02T08:00:00Z stdout ";
  std::string text;
  for (int i = 0; i < 100; ++i) text += time + "F all is well\n";
  text += time + "P {\"msg\":\"it is so\",\n" + time + "P \"a\":1,\n" + time + "F \"level\":\"fatal\"}\n";
  for (int i = 0; i < 100; ++i) text += time + "F all is well\n";
  const auto document = read_by_words(text);
  const auto outputs = read("anomaly", R"({"top":1})", document);
  EXPECT_EQ(lines_of(outputs).size(), 201u);
  EXPECT_EQ(outputs[100]["line"], 101);
  EXPECT_EQ(outputs[100]["lines"], 3);
  EXPECT_EQ(outputs[101]["line"], 104);
  EXPECT_EQ(outputs.back()["lines"], 203);
  EXPECT_EQ(outputs.back()["top"][0]["text"], R"({"msg":"it is so","a":1,"level":"fatal"})");
  EXPECT_EQ(read("anomaly", R"({"top":1})", document, true), outputs)
      << "also if it is resumed in the middle";
}

TEST(Anomaly, LinesOfTheOtherStreamMayComeBetweenTheParts) {
  const std::string time = "2026-03-02T08:00:00Z ";
  std::string text;
  for (int i = 0; i < 100; ++i) text += time + "stdout F all is well\n";
  text += time + "stdout P all is \n" + time + "stderr F ERROR it broke\n" + time + "stdout P we\n" + time +
          "stdout F ll\n";
  for (int i = 0; i < 100; ++i) text += time + "stdout F all is well\n";
  const auto document = read_by_words(text);
  const auto outputs = read("anomaly", R"({"top":1})", document);
  const auto lines = lines_of(outputs);
  ASSERT_EQ(lines.size(), 202u);
  EXPECT_EQ(lines[100]["line"], 102) << "before it is half a record of the other stream";
  EXPECT_EQ(shown(document, lines[100]), time + "stderr F ERROR it broke");
  EXPECT_FALSE(lines[100].contains("from"));
  EXPECT_EQ(lines[101]["line"], 103);
  EXPECT_EQ(lines[101]["lines"], 2);
  EXPECT_EQ(lines[101]["from"], 100 * (time.size() + 21));
  EXPECT_LT(lines[101]["score"], 2) << "joined, it is like the others";
  EXPECT_EQ(outputs.back()["lines"], 204);
  EXPECT_EQ(outputs.back()["top"][0]["text"], "ERROR it broke");
  EXPECT_EQ(read("anomaly", R"({"top":1})", document, true), outputs)
      << "also if it is resumed in the middle";
}

TEST(Anomaly, ATraceIsPartOfItsRecord) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "INFO all is well\n";
  text +=
      "ERROR job 7 failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n"
      "    return g(x)\nValueError: bad value\nINFO all is well\n";
  const auto document = read_by_words(text);
  const auto outputs = read("anomaly", R"({"top":2,"alert_rate":5})", document);
  EXPECT_EQ(lines_of(outputs).size(), 306u);
  int alerts = 0;
  for (int line = 301; line <= 305; ++line) {
    const json& output = outputs[static_cast<std::size_t>(line) - 1];
    EXPECT_EQ(output["line"], line);
    EXPECT_EQ(output.contains("record"), line > 301);
    EXPECT_EQ(output.value("record", 301), 301);
    alerts += output.contains("alert") ? 1 : 0;
  }
  EXPECT_EQ(alerts, 1) << "one record, one alert";
  EXPECT_FALSE(outputs[305].contains("record"));
  const json& top = outputs.back()["top"];
  EXPECT_EQ(top[0]["line"], 301);
  EXPECT_EQ(top[0]["lines"], 5);
  EXPECT_EQ(top[0]["text"], "ERROR job 7 failed | ValueError: bad value");
  EXPECT_TRUE(top[1]["line"] < 301 || top[1]["line"] == 306);
  EXPECT_EQ(read("anomaly", R"({"top":2,"alert_rate":5})", document, true), outputs);
}

TEST(Anomaly, TheEndOfALongLineIsLookedAtAndShown) {
  const std::string labels = R"({"labels":")" + std::string(900, 'x') + R"(","msg":"so","level":)";
  std::string text;
  for (int i = 1; i <= 200; ++i) text += labels + (i == 150 ? R"("fatal"})" : R"("info"})") + "\n";
  const auto outputs = read("anomaly", R"({"top":1})", read_by_words(text));
  EXPECT_EQ(outputs.back()["top"][0]["line"], 150);
  EXPECT_THAT(outputs.back()["top"][0]["text"].get<std::string>(),
              ::testing::HasSubstr(R"("level":"fatal")"));
  EXPECT_LE(outputs.back()["top"][0]["text"].get<std::string>().size(), 300u);
  EXPECT_FALSE(outputs[149].contains("cut"));
}

TEST(Anomaly, ABodyInOneWordDoesNotCountByItsLength) {
  std::vector<MadeToken> tokens;
  for (int line = 1; line <= 300; ++line) {
    tokens.push_back({"DEBUG body=", -1});
    for (int i = 0; i < (line == 150 ? 2000 : 10); ++i) tokens.push_back({"a7Bc+/", -4});
    tokens.push_back({line == 200 ? " refused it\n" : " took it\n", line == 200 ? -3.0f : -1.0f});
  }
  EXPECT_EQ(read("anomaly", R"({"top":1})", made_document(tokens, 64)).back()["top"][0]["line"], 200);
}

TEST(Anomaly, NoTokenOfALongWordCounts) {
  std::vector<MadeToken> tokens;
  for (int line = 1; line <= 300; ++line) {
    tokens.push_back({"got body", -1});
    for (int i = 0; i < 20; ++i) tokens.push_back({"a7Bc", line == 150 ? -14.0F : -4.0F});
    tokens.push_back({line == 200 ? " refused it\n" : " took it\n", line == 200 ? -3.0F : -1.0F});
  }
  EXPECT_EQ(read("anomaly", R"({"top":1})", made_document(tokens, 64)).back()["top"][0]["line"], 200);
}

TEST(Anomaly, ANewLineOfLevelDebugCountsHalf) {
  const auto score_of = [](const std::string& level) {
    std::vector<MadeToken> tokens;
    for (int line = 1; line <= 200; ++line)
      tokens.push_back({line == 150 ? level + " cache of shards rebuilt\n" : "INFO all is well\n", -2});
    return read("anomaly", "{}", made_document(tokens, 64))[149]["score"].get<double>();
  };
  EXPECT_NEAR(score_of("DEBUG"), score_of("INFO") / 2, 1e-3);
}

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

TEST(Anomaly, OfALineWithoutEndOnlyTheBeginningIsLookedAt) {
  const std::string text = "INFO a\n" + std::string(100'000, 'x') + "\nINFO a\n";
  const auto document = read_by_words(text);
  const auto outputs = read("anomaly", "{}", document);
  EXPECT_EQ(outputs[1]["cut"], true);
  EXPECT_EQ(outputs[1]["end"], 7 + 100'000);
  EXPECT_FALSE(outputs[0].contains("cut"));
  Loaded plugin(builtin_library("anomaly"));
  auto instance = plugin.create("{}");
  process(*instance, document, 0);
  EXPECT_LT(instance->save().size(), 40'000u);
}

/// What earlier versions saved after 40 lines "all is well at 7", of which line 30 is "panic at at 7", and
/// "all is".
void expect_goes_on(const std::string& state) {
  std::ifstream file(fs::path(GOLDEN_DIRECTORY) / state, std::ios::binary);
  const std::string saved((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(saved.size(), 1000u);
  Loaded plugin(builtin_library("anomaly"));
  auto instance = plugin.create(R"({"top":2,"session":"at "})");
  instance->load(std::as_bytes(std::span(saved)));
  const auto rest = made_document({{" well at 7\n", -1}, {"all is well at 7\n", -1}});
  process(*instance, rest, 0);
  const auto again = instance->save();
  instance = plugin.create(R"({"top":2,"session":"at "})");
  instance->load(again);
  finish(*instance, rest);
  ASSERT_EQ(plugin.outputs.size(), 5u);
  EXPECT_EQ(json::parse(plugin.outputs[0])["line"], 41);
  EXPECT_EQ(json::parse(plugin.outputs[1])["line"], 42);
  const json end = json::parse(plugin.outputs[4]);
  EXPECT_EQ(end["lines"], 42);
  EXPECT_EQ(end["top"][0]["line"], 30);
  EXPECT_EQ(end["top"][0]["text"], "panic at at 7");
  ASSERT_EQ(end["top_sessions"].size(), 2u) << "those of line 30 and of the others";
  EXPECT_EQ(end["top_sessions"][0]["lines"].get<int>() + end["top_sessions"][1]["lines"].get<int>(), 42);
}

TEST(Anomaly, DocumentsOfTheVersionsBeforeGoOn) {
  expect_goes_on("anomaly_4.state");
  expect_goes_on("anomaly_5.state");
  expect_goes_on("anomaly_6.state");
  expect_goes_on("anomaly_7.state");
  expect_goes_on("anomaly_8.state");
}

using builtin::RateEvent;
using builtin::RateWatch;

/// A log of three hours: a heartbeat every 10 s, requests about every 2 s, a report every 5 minutes.
class RatesOfALog {
 public:
  /// Adds a second. `requests`: how many, if not as usual.
  void second(bool heartbeat = true, int requests = -1) {
    if (heartbeat && now_ % 10 == 0) look(1, "heartbeat");
    if (requests < 0) requests = std::poisson_distribution<int>(0.5)(random_);
    for (int i = 0; i < requests; ++i) look(2, "request");
    if (now_ % 300 == 0) look(3, "report");
    ++now_;
  }
  void seconds(int count, bool heartbeat = true, int requests = -1) {
    for (int i = 0; i < count; ++i) second(heartbeat, requests);
  }
  void skip(int seconds) { now_ += seconds; }
  std::vector<RateEvent> take() { return std::exchange(events_, {}); }

 private:
  void look(std::uint64_t shape, const char* text) {
    for (auto& event : watch_.look(shape, text, now_)) events_.push_back(std::move(event));
  }
  RateWatch watch_;
  std::mt19937 random_{7};
  int now_ = 1'000'000;
  std::vector<RateEvent> events_;
};

TEST(Rates, NothingIsSaidOfWhatIsAsEver) {
  RatesOfALog log;
  log.seconds(3 * 86400);
  EXPECT_EQ(log.take().size(), 0u);
}

TEST(Rates, AKindThatStopsIsToldOnce) {
  RatesOfALog log;
  log.seconds(3600);
  log.seconds(600, false);
  const auto events = log.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, RateEvent::Kind::kStopped);
  EXPECT_EQ(events[0].text, "heartbeat");
  EXPECT_NEAR(events[0].seconds, 100, 15);
  EXPECT_NEAR(events[0].usual, 10, 0.1);
  EXPECT_GE(events[0].score, 5);
  log.seconds(3600);
  log.seconds(500, false);
  EXPECT_EQ(log.take().size(), 0u) << "a pause of this length is known";
  log.seconds(3600);
  log.seconds(2000, false);
  EXPECT_EQ(log.take().size(), 1u);
}

TEST(Rates, AKindThatComesFarMoreOftenIsToldOnce) {
  RatesOfALog log;
  log.seconds(3600);
  log.seconds(180, true, 10);
  const auto events = log.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, RateEvent::Kind::kMore);
  EXPECT_EQ(events[0].text, "request");
  EXPECT_GT(events[0].count, 3 * events[0].usual);
  log.seconds(3600);
  EXPECT_EQ(log.take().size(), 0u);
}

TEST(Rates, ASilentLogIsOneEventAndNotOneForEachKind) {
  RatesOfALog log;
  log.seconds(7200);
  log.skip(900);
  log.seconds(3600);
  const auto events = log.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, RateEvent::Kind::kSilent);
  EXPECT_NEAR(events[0].seconds, 900, 10);
}

TEST(Rates, ClocksThatGoBackOrBeginAgainSayNothing) {
  RateWatch watch;
  std::size_t events = 0;
  for (int day = 0; day < 3; ++day) {
    for (int second = 0; second < 86400; second += 5) {
      events += watch.look(1, "a", second).size();      // a time of day
      events += watch.look(2, "b", second - 3).size();  // out of order
      events += watch.look(3, "no time", std::nullopt).size();
    }
  }
  EXPECT_EQ(events, 0u);
}

TEST(Rates, ThePluginReportsThemUnlessToldNotTo) {
  std::vector<MadeToken> tokens;
  for (int second = 0; second < 2000; ++second) {
    const std::string time = std::to_string(1'772'438'000 + second);
    if (second % 2 == 0 && second < 1500) tokens.push_back({time + " all is well\n", -1});
    tokens.push_back({time + " request served\n", -1});
  }
  const auto document = made_document(tokens, 64);
  std::vector<json> rates;
  for (auto& output : read("anomaly", R"({"top":2,"alert_rate":100})", document)) {
    if (output.contains("rate")) rates.push_back(output);
  }
  ASSERT_EQ(rates.size(), 1u);
  EXPECT_EQ(rates[0]["rate"], "stopped");
  EXPECT_EQ(rates[0]["text"], std::to_string(1'772'438'000) + " all is well");
  EXPECT_EQ(rates[0]["alert"], true);
  EXPECT_GT(rates[0]["line"], 2250);
  for (const auto& output : read("anomaly", R"({"rates":false})", document))
    EXPECT_FALSE(output.contains("rate"));
  for (const auto& output : read("anomaly", R"({"time_format":"%H:%M:%S"})", document))
    EXPECT_FALSE(output.contains("rate"));
}

TEST(Anomaly, AWrittenErrorThatComesAgainIsAboveANewRoutineLine) {
  std::string text;
  for (int i = 1; i <= 400; ++i) {
    const std::string number = std::to_string(i);
    if (i == 150 || i == 350) {
      text += "ts=" + number + " level=error msg=\"could not write block\" tenant=7\n";
    } else if (i == 250) {
      text += "ts=" + number + " level=info msg=\"compaction done\" blocks=2 failed=0 errors=0 err=<nil>\n";
    } else {
      text += "ts=" + number + " level=info msg=\"query stats\" status=200 tenant=" + std::to_string(i % 7) +
              "\n";
    }
  }
  const auto end = read("anomaly", R"({"top":3})", read_by_words(text)).back();
  EXPECT_EQ(end["top"][0]["line"], 150);
  EXPECT_EQ(end["top"][1]["line"], 350);
  EXPECT_EQ(end["top"][2]["line"], 250);
}

/// `count` lines, of which every `each`th is unlike the others.
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
    EXPECT_EQ(window["top"][0]["text"], shown(document, window["top"][0]));
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
