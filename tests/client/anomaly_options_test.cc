// `unroll anomaly` without a baseline: --budget, --ignore-file and --explain, with the built program.
#include <algorithm>
#include <sstream>

#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class AnomalyOptions : public WithModel {
 protected:
  /// 400 lines of two shapes; three are unlike them: line 251, an error, line 300, with other words, and line
  /// 350, an error again.
  static void SetUpTestSuite() {
    WithModel::SetUpTestSuite();
    std::string text;
    for (int i = 1; i <= 400; ++i) {
      const std::string time = "2026-03-02T08:0" + std::to_string(i / 60) + ":" + (i % 60 < 10 ? "0" : "") +
                               std::to_string(i % 60);
      text += time +
              (i == 251 || i == 350 ? " ERROR disk " + std::to_string(i) + " gone"
               : i == 300           ? " INFO nightly report is late"
               : i % 2 == 0         ? " INFO job " + std::to_string(i) + " done"
                                    : " INFO cache of " + std::to_string(i % 9) + " entries kept") +
              "\n";
    }
    write_file(path("app.log"), text);
    write_file(path("rules"), "# known\n\ndisk \\d+ gone\n");
  }
  static std::string anomaly(std::vector<std::string> options, const std::string& file = "app.log") {
    options.insert(options.begin(), {"anomaly", path(file)});
    const Finished finished = embedded(options);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }
  static std::vector<json> lines(std::vector<std::string> options) {
    options.insert(options.end(), {"--format", "ndjson"});
    return lines_of(anomaly(options));
  }
};

/// Equal but for the scores' last digits: the tokens' surprisal passes through six digits.
void expect_same(std::vector<json> one, std::vector<json> other) {
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_NEAR(one[i]["score"], other[i]["score"], 1e-4) << i;
    for (json* line : {&one[i], &other[i]}) {
      line->erase("score");
      line->erase("parts");
    }
    EXPECT_EQ(one[i], other[i]);
  }
}

TEST_F(AnomalyOptions, ABudgetThatIsNotReachedChangesNothing) {
  expect_same(lines({"--budget", "1000", "--alert-rate", "5"}), lines({"--alert-rate", "5"}));
  const auto sessions = [](const std::string& budget) {
    return json::parse(
        anomaly({"--budget", budget, "--format", "json", "--session", "ERROR "}))["top_sessions"];
  };
  EXPECT_EQ(sessions("1"), sessions("1000")) << "sessions do not depend on the model";
}

TEST_F(AnomalyOptions, LinesBeyondTheBudgetHaveAScoreAsWell) {
  const auto few = lines({"--budget", "5", "--alert-rate", "10"}), all = lines({});
  ASSERT_EQ(few.size(), 400u);
  EXPECT_NEAR(few[4]["score"], all[4]["score"], 1e-3) << "the model read it";
  EXPECT_NE(few[199]["score"], all[199]["score"]) << "it did not read this one";
  for (const std::size_t odd : {251u, 300u, 350u}) {
    EXPECT_EQ(few[odd - 1]["line"], odd);
    EXPECT_EQ(few[odd - 1]["start"], all[odd - 1]["start"]);
    EXPECT_GT(few[odd - 1]["score"], 4);
  }
  EXPECT_EQ(few[250].value("alert", false), true);
}

TEST_F(AnomalyOptions, AHugeLogOfFewShapesIsReadQuicklyFromAPipe) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "08:00:00 INFO request " + std::to_string(i) + " served\n";
  text += "08:00:00 FATAL out of disks\n";
  const Finished finished =
      embedded({"anomaly", "-", "--budget", "3", "--top", "1", "--format", "json"}, {text, {}});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const json object = json::parse(finished.out);
  EXPECT_EQ(object["lines"].size(), 50'001u);
  EXPECT_EQ(object["top"][0]["text"], "08:00:00 FATAL out of disks");
}

TEST_F(AnomalyOptions, IgnoredLinesAreNotListedAndTakeNoAlert) {
  const auto all = lines({"--ignore-file", path("rules"), "--alert-rate", "2"});
  EXPECT_EQ(all[250]["score"], 0);
  EXPECT_EQ(all[250]["ignored_by"], 3);
  EXPECT_FALSE(all[250].contains("alert"));
  EXPECT_EQ(all[299].value("alert", false), true) << "the error before it took no alert";
  const json object =
      json::parse(anomaly({"--ignore-file", path("rules"), "--format", "json", "--top", "2"}));
  ASSERT_EQ(object["top"].size(), 2u);
  EXPECT_EQ(object["top"][0]["line"], 300);
  EXPECT_THAT(anomaly({"--format", "json", "--top", "2"}), HasSubstr("disk 251 gone"));
  EXPECT_THAT(anomaly({"--ignore-file", path("rules"), "--format", "html"}), HasSubstr("disk 251 gone"))
      << "the page shows all lines";
}

TEST_F(AnomalyOptions, TheScoreOfALineIsExplained) {
  const auto scores = lines({});
  const std::string error = anomaly({"--explain", "251"});
  const std::string score = std::to_string(scores[250]["score"].get<double>());
  EXPECT_THAT(error, HasSubstr("score       " + score.substr(0, score.find('.') + 2)));
  EXPECT_THAT(error, HasSubstr(": error by its level\n"));
  EXPECT_THAT(error, HasSubstr("line        2026-03-02T08:04:11 ERROR disk 251 gone\n"));
  std::istringstream text(error);
  double total = -1, sum = 0;
  for (std::string line, name; std::getline(text, line);) {
    std::istringstream words(line);
    double value = 0;
    if (!(words >> name >> value)) continue;
    if (name == "score") total = value;
    if (line.starts_with("  ")) sum += value;
  }
  EXPECT_GT(total, 4);
  EXPECT_NEAR(sum, total, 0.03) << error;
  EXPECT_THAT(anomaly({"--explain", "251", "--ignore-file", path("rules")}), HasSubstr("by line 3 of "));
  EXPECT_THAT(anomaly({"--explain", "251", "--budget", "3"}), HasSubstr("score"));
}

TEST_F(AnomalyOptions, ObjectsAreAsWithABaseline) {
  const auto plain = lines({});
  for (const char* key : {"file", "line", "start", "end", "score", "time", "text", "parts", "known"})
    EXPECT_TRUE(plain[250].contains(key)) << key;
  EXPECT_EQ(plain[250]["file"], path("app.log"));
  EXPECT_EQ(plain[250]["time"], "2026-03-02T08:04:11");
  EXPECT_EQ(plain[250]["text"], "2026-03-02T08:04:11 ERROR disk 251 gone");
  EXPECT_TRUE(plain[250]["known"].is_null());
  double sum = 0;
  for (const auto& part : plain[250]["parts"]) sum += part.get<double>();
  EXPECT_NEAR(sum, plain[250]["score"], 1e-4);
  EXPECT_FALSE(plain[250].contains("context"));

  for (const auto& options :
       {std::vector<std::string>{"--context", "2"}, {"--context", "2", "--budget", "5"}}) {
    const auto odd = lines(options)[299];
    EXPECT_EQ(odd["line"], 300);
    EXPECT_EQ(odd["context"]["before"].size(), 2u);
    EXPECT_EQ(odd["context"]["before"][1], "2026-03-02T08:04:59 INFO cache of 2 entries kept");
    EXPECT_EQ(odd["context"]["after"][0], "2026-03-02T08:05:01 INFO cache of 4 entries kept");
  }
  const json whole = json::parse(anomaly({"--context", "1", "--format", "json"}));
  EXPECT_EQ(whole["lines"].size(), 400u);
  EXPECT_EQ(whole["lines"][299]["context"]["after"].size(), 1u);
}

TEST_F(AnomalyOptions, RepetitionsAreOneEntryAndLinesInPipesAreWhole) {
  const json top = json::parse(anomaly({"--format", "json", "--top", "2"}))["top"];
  ASSERT_EQ(top.size(), 2u);
  const auto& disk = top[0]["line"] == 300 ? top[1] : top[0];
  EXPECT_EQ(disk["line"], 251);
  EXPECT_EQ(disk["count"], 2);
  EXPECT_EQ(disk["repeats"], json({350}));
  EXPECT_EQ(disk["file"], path("app.log"));
  EXPECT_THAT(anomaly({"--top", "2"}), HasSubstr("2026-03-02T08:04:11 ERROR disk 251 gone  (2 times)\n"));

  std::string text;
  for (int i = 0; i < 100; ++i) text += "INFO all is well\n";
  const std::string odd = "FATAL " + std::string(60, 'y') + " and " + std::string(60, 'z') + " the end";
  write_file(path("long.log"), text + odd + "\n" + text);
  EXPECT_THAT(anomaly({"--top", "1"}, "long.log"), HasSubstr(odd + "\n"));
}

TEST_F(AnomalyOptions, WithABaselineNoLineCostsAReading) {
  EXPECT_EQ(anomaly({"--baseline", path("app.log"), "--budget", "5"}),
            anomaly({"--baseline", path("app.log")}));
}

TEST_F(AnomalyOptions, ALogWithoutEndIsShownAsItIsRead) {
  // Also from a pipe: nothing waits for the log's end, or needs room for all of it.
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "08:00:00 INFO request " + std::to_string(i) + " served\n";
  const Finished finished = embedded({"anomaly", "-", "--format", "ndjson"}, {text, {}});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const auto found = lines_of(finished.out);
  ASSERT_EQ(found.size(), 3000u);
  for (const std::size_t i : {0u, 1500u, 2999u})
    EXPECT_EQ(found[i]["text"], "08:00:00 INFO request " + std::to_string(i) + " served");
}

TEST_F(AnomalyOptions, ATimeFormatThatNoLineHasIsTold) {
  const std::string told = "app.log: no line has a time of the form that --time-format names";
  const auto err = [](std::vector<std::string> words) {
    const bool reads_with_model =
        words.front() == "anomaly" && !std::count(words.begin(), words.end(), "--baseline");
    const Finished finished = reads_with_model ? embedded(words) : unroll(words);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.err;
  };
  const std::string log = path("app.log"), base = path("times.base");
  EXPECT_THAT(err({"anomaly", log, "--time-format", "%d.%m.%Y"}), HasSubstr(told));
  EXPECT_THAT(err({"anomaly", log, "--time-format", "%d.%m.%Y", "--no-rates"}), Not(HasSubstr(told)));
  EXPECT_THAT(err({"anomaly", log, "--time-format", "%Y-%m-%dT%H:%M:%S"}), Not(HasSubstr(told)));
  EXPECT_THAT(err({"learn", log, "--out", base, "--time-format", "%d.%m.%Y"}), HasSubstr(told));
  EXPECT_THAT(err({"anomaly", log, "--baseline", base, "--time-format", "%d.%m.%Y"}), HasSubstr(told));
}

TEST_F(AnomalyOptions, CommandLineErrors) {
  const auto refused = [](std::vector<std::string> options, const std::string& why) {
    options.insert(options.begin(), {"anomaly", path("app.log")});
    const Finished finished = embedded(options);
    EXPECT_NE(finished.exit_code, 0);
    EXPECT_THAT(finished.err, HasSubstr(why));
  };
  refused({"--explain", "first"}, "--explain takes the number of a line of FILE");
  refused({"--explain", "401"}, "has no line 401");
  refused({"--budget", "2", "--after", path("a.log")}, "--budget does not go with --after");
  refused({"--session", "x", "--baseline", path("a.log")}, "--session does not go with --baseline");
}

}  // namespace
}  // namespace unroll::test
