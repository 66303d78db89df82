// `unroll anomaly` without a baseline: --budget, --ignore-file and --explain, with the built program.
#include <sstream>

#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

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
    one[i].erase("score");
    other[i].erase("score");
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

TEST_F(AnomalyOptions, CommandLineErrors) {
  const auto refused = [](std::vector<std::string> options, const std::string& why) {
    options.insert(options.begin(), {"anomaly", path("app.log")});
    const Finished finished = embedded(options);
    EXPECT_NE(finished.exit_code, 0);
    EXPECT_THAT(finished.err, HasSubstr(why));
  };
  refused({"--explain", "first"}, "--explain takes the number of a line of FILE");
  refused({"--explain", "401"}, "has no line 401");
  refused({"--context", "2"}, "--context needs a --baseline");
  refused({"--budget", "2", "--after", path("a.log")}, "--budget does not go with --after");
  refused({"--budget", "2", "--baseline", path("a.log")}, "--budget does not go with --baseline");
}

}  // namespace
}  // namespace unroll::test
