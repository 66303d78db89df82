// The built-in plugin anomaly: its ranking, its alerts, its memory.
#include <fstream>
#include <iterator>
#include <span>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/alert_rate.h"
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

}  // namespace
}  // namespace unroll::testing
