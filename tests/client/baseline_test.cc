// Comparing logs with a baseline: words, the nearest known line, names of logs, formats, `unroll learn`'s
// file.
#include "client/logs/baseline.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/command_error.h"
#include "client/commands/learn_command.h"
#include "client/logs/judge.h"
#include "tests/client/fixture.h"

namespace unroll {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void ignore_notes(const std::string&) {}

TEST(LineWords, WhatChangesFromRunToRunIsMasked) {
  EXPECT_THAT(
      line_words("Jun 20 05:43:49 host-7 sshd[637]: Started /install.d/80-test by py35"),
      ElementsAre("#", "host", "#", "sshd", "#", "started", "install", "d", "#", "test", "by", "py#"));
  EXPECT_THAT(line_words("id 0d6fa2b1-1111-4abc-9def-0123456789ab commit 3fa9c1d 0xDEADBEEF a1b2c3d4e5"),
              ElementsAre("id", "#", "commit", "#"));
  EXPECT_THAT(line_words("key kd5c4 k7ad1x on eth0, ext4"), ElementsAre("key", "#", "on", "eth#", "ext#"));
  EXPECT_THAT(line_words("job deadbeef of facade"), ElementsAre("job", "#", "of", "facade"));
  EXPECT_THAT(line_words("Gerät läuft"), ElementsAre("gerät", "läuft"));
  EXPECT_THAT(line_words("==== ----"), IsEmpty());
}

KnownLines known_of(const std::vector<std::string>& lines) {
  KnownLines known;
  for (const std::string& line : lines) known.learn(line, 0);
  return known;
}

TEST(KnownLines, TheNearestLineAndItsDistance) {
  KnownLines known = known_of({"08:00 unit network started", "08:00 unit disk started",
                               "08:01 backup of 7 files done", "08:02 backup of 9 files done"});
  EXPECT_EQ(known.lines().size(), 3u) << "numbers do not tell lines apart";
  EXPECT_EQ(known.nearest("09:30 unit disk started").distance, 0);
  EXPECT_EQ(known.nearest("09:30 backup of 123 files done").line->count, 2u);
  const auto near = known.nearest("09:30 unit disk stopped"), far = known.nearest("kernel oops in driver");
  EXPECT_EQ(near.line->text, "08:00 unit disk started");
  EXPECT_GT(near.distance, 0.1);
  EXPECT_LT(near.distance, 0.8);
  EXPECT_EQ(far.distance, 1);
  EXPECT_EQ(far.line, nullptr);
  EXPECT_EQ(known.nearest("-----").distance, 0);
  KnownLines alike = known_of({"red green blue violet orange", "red green blue"});
  EXPECT_EQ(alike.nearest("red green blue white").line->text, "red green blue") << "not the first one alike";
}

TEST(KnownLines, ManyLinesWithCommonWordsAreSearchedByTheRareOnes) {
  KnownLines known;
  for (int i = 0; i < 30'000; ++i) {
    std::string name;
    for (int rest = i + 1000; rest > 0; rest /= 20) name += static_cast<char>('a' + rest % 20);
    known.learn("the common beginning of every line and service " + name + " ends", 0);
  }
  known.learn("the common beginning of every line and needle zzz ends", 0);
  const auto nearest = known.nearest("the common beginning of every line and needle zzz fails");
  EXPECT_THAT(nearest.line->text, HasSubstr("needle zzz"));
}

TEST(LogName, RotationCompressionAndDatesAreIgnored) {
  for (const char* name : {"app/web.log", "app/web.log.1", "app/web.log.2.gz", "app/web.log-20260302.xz",
                           "app/web-2026-03-02.log", "app/web.log.old", "app/web_2026-03-02T08-00-00.log"}) {
    EXPECT_EQ(log_name(name), "app/web.log") << name;
  }
  EXPECT_EQ(log_name("node7.log"), "node7.log");
  EXPECT_EQ(log_name("20260302"), "20260302");
}

class Judged : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string output(JudgedOptions options, const std::string& format = "ndjson") {
    options.out = folder_ / "out";
    options.how.format = format;
    EXPECT_EQ(judge_logs(options), 0);
    return read_file(folder_ / "out");
  }
  std::vector<json> objects(const JudgedOptions& options) {
    std::istringstream lines(output(options));
    std::vector<json> objects;
    for (std::string line; std::getline(lines, line);) objects.push_back(json::parse(line));
    return objects;
  }
  /// The scores of the lines of `target`, compared with `good`.
  std::vector<double> scores(const std::string& good, const std::string& target) {
    JudgedOptions options;
    options.baselines = {file("good.log", good)};
    options.targets = {file("target.log", target)};
    std::vector<double> scores;
    for (const json& object : objects(options)) scores.push_back(object["score"]);
    return scores;
  }
  const TemporaryFolder folder_;
};

const std::string kGood =
    "2026-03-02T08:00:00Z INFO unit network started\n2026-03-02T08:00:01Z INFO unit disk started\n"
    "2026-03-02T08:00:02Z INFO backup of 7 files done\n";

TEST_F(Judged, AnObjectSaysWhatTheScoreIsMadeOf) {
  JudgedOptions options;
  options.baselines = {file("good.log", kGood)};
  options.targets = {
      file("bad.log",
           "2026-03-03T09:00:00Z INFO unit disk started\n2026-03-03T09:00:01Z ERROR unit disk failed\n"
           "2026-03-03T09:00:02Z INFO backup of 9 files done\n")};
  options.how.context = 1;
  const auto lines = objects(options);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["score"], 0);
  EXPECT_EQ(lines[0]["known"], "2026-03-02T08:00:01Z INFO unit disk started");
  EXPECT_FALSE(lines[0].contains("context"));
  const json& odd = lines[1];
  EXPECT_EQ(odd["file"], options.targets[0]);
  EXPECT_EQ(odd["line"], 2);
  EXPECT_EQ(odd["start"], 44);
  EXPECT_EQ(odd["end"], 87);
  EXPECT_EQ(odd["time"], "2026-03-03T09:00:01Z");
  EXPECT_EQ(odd["text"], "2026-03-03T09:00:01Z ERROR unit disk failed");
  EXPECT_EQ(odd["parts"]["severity"], 5);
  EXPECT_EQ(odd["score"].get<double>(), odd["parts"]["distance"].get<double>() + 5);
  EXPECT_EQ(odd["context"]["before"], json({"2026-03-03T09:00:00Z INFO unit disk started"}));
  EXPECT_EQ(odd["context"]["after"], json({"2026-03-03T09:00:02Z INFO backup of 9 files done"}));
}

TEST_F(Judged, NothingIsLearnedFromTheTarget) {
  std::string target;
  for (int i = 0; i < 50; ++i) target += "panic: the disk is on fire\n";
  const auto found = scores(kGood, target);
  EXPECT_EQ(found.size(), 50u);
  EXPECT_EQ(found.front(), found.back());
  EXPECT_GT(found.front(), 5);
}

TEST_F(Judged, EncodingsAndColoursDoNotMatter) {
  const std::string target =
      "2026-03-03T09:00:00Z INFO unit disk started\n2026-03-03T09:00:01Z ERROR disk gone\n";
  const auto plain = scores(kGood, target);
  EXPECT_GT(plain[1], 5);
  std::string wide = "\xFF\xFE", coloured;
  for (const char c : target) wide += std::string{c, '\0'};
  for (const char c : target) coloured += c == ' ' ? "\x1b[0m \x1b[31m" : std::string(1, c);
  EXPECT_EQ(scores(kGood, wide), plain);
  EXPECT_EQ(scores(kGood, coloured), plain);
}

TEST_F(Judged, AKnownTextAtANewLevelIsOdd) {
  const std::string good = R"({"level":30,"time":1,"msg":"started"})",
                    bad = R"({"level":50,"time":2,"msg":"started"})";
  EXPECT_THAT(scores(good, good + "\n" + bad + "\n"), ElementsAre(0, 5));
  const std::string klog = "0302 08:07:42.569000    1412 a.go:224] \"started\" volume=\"a\"\n";
  EXPECT_GT(scores("I" + klog, "E" + klog)[0], 5);
}

TEST_F(Judged, AStepOfAStackSaysLessThanItsRecord) {
  const auto found = scores(kGood,
                            "ERROR backup of 7 files failed\nTraceback (most recent call last):\n"
                            "  File \"x.py\", line 1, in wholly_unknown_name\nValueError: bad value\n");
  ASSERT_EQ(found.size(), 4u);
  EXPECT_LT(found[1], found[0]);
  EXPECT_LT(found[2], found[0]);
  EXPECT_GT(found[3], 5);
}

TEST_F(Judged, FoldersArePairedByName) {
  const std::string web = "GET /index served\n", db = "checkpoint of table written\n";
  file("good/app/web.log", web);
  file("good/db.log.1", db);
  file("good/binary", std::string("a\0b", 3));
  file("bad/app/web.log-20260302", web + db);
  file("bad/db.log", db);
  JudgedOptions options;
  options.baselines = {folder_ / "good"};
  options.targets = {folder_ / "bad"};
  const auto lines = objects(options);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["score"], 0);
  EXPECT_GT(lines[1]["score"], 5) << "a line of another log";
  EXPECT_EQ(lines[2]["score"], 0);
}

TEST_F(Judged, WhatWasLearnedIsAFile) {
  Baseline baseline;
  for (const LogFile& log :
       log_files({file("good/a.log", kGood), file("b.log", "one\ntwo\ntwo\n")}, ignore_notes))
    baseline.learn(log, {}, ignore_notes);
  EXPECT_EQ(baseline.lines(), 6u);
  EXPECT_EQ(baseline.different(), 5u);
  const std::filesystem::path saved = folder_ / "base";
  baseline.save(saved);
  EXPECT_EQ(std::filesystem::status(saved).permissions() & std::filesystem::perms::others_read,
            std::filesystem::perms::none);
  JudgedOptions options;
  options.targets = {file("target/b.log", "two\nunit disk started\n")};
  options.baselines = {folder_ / "b.log", folder_ / "good/a.log"};
  const std::string from_logs = output(options);
  options.baselines = {saved};
  EXPECT_EQ(output(options), from_logs);

  EXPECT_FALSE(Baseline().load(file("a log", kGood)));
  EXPECT_THROW(Baseline().load(file("newer", "{\"unroll_baseline\":99}\n")), CommandError);
  EXPECT_THROW(Baseline().load(file("damaged", "{\"unroll_baseline\":1}\n{\"log\":\"a\"}\n{\"text\":1}\n")),
               CommandError);
  EXPECT_THROW(Baseline().load(file("cut", "{\"unroll_baseline\":1}\n{\"log\":\"a")), CommandError);
}

TEST_F(Judged, IgnoreRulesAreRegularExpressions) {
  JudgedOptions options;
  options.baselines = {file("good.log", kGood)};
  options.targets = {file("bad.log", "nightly job is late\nkernel oops\n")};
  options.ignore_file = file("rules", "# a comment\n\nnightly \\w+ is late\n");
  const auto lines = objects(options);
  EXPECT_EQ(lines[0]["score"], 0);
  EXPECT_EQ(lines[0]["ignored_by"], 3);
  EXPECT_GT(lines[1]["score"], 5);
  EXPECT_THROW(IgnoreRules(file("broken", "fine\n(\n")), CommandError);
  EXPECT_THROW(IgnoreRules(folder_ / "none"), CommandError);
}

/// Lines of a server, one every 2 s; their times, sizes and statuses vary as usual.
std::string served(int first, int count, const std::string& status = "200", bool heartbeat = true) {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    const auto two = [](int number) { return (number < 10 ? "0" : "") + std::to_string(number); };
    const std::string time =
        "2026-03-02T" + two(i / 1800) + ":" + two(i / 30 % 60) + ":" + two(i * 2 % 60) + "Z INFO ";
    text += time + "GET /index status=" + status + " bytes=" + std::to_string(500 + i * 37 % 400) + "\n";
    if (heartbeat && i % 5 == 0) text += time + "heartbeat\n";
  }
  return text;
}

TEST_F(Judged, ANumberOutOfTheRangeThatTheBaselineHadIsNamed) {
  JudgedOptions options;
  options.baselines = {file("good.log", served(0, 600))};
  options.targets = {file("bad.log", served(1800, 50) + served(1850, 1, "503") + served(1851, 50))};
  const auto odd = [&] {
    std::vector<json> odd;
    for (const json& line : objects(options)) {
      if (line["score"] > 0) odd.push_back(line);
    }
    return odd;
  };
  auto found = odd();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0]["text"].get<std::string>(), HasSubstr("status=503"));
  EXPECT_EQ(found[0]["number"], json::parse(R"({"value":"503","low":200.0,"high":200.0})"));
  EXPECT_EQ(found[0]["score"], found[0]["parts"]["numbers"]);
  EXPECT_GT(found[0]["score"], 5);
  EXPECT_THAT(output(options, "text"), HasSubstr("(503: 200 to 200 before)"));
  options.targets = {file("bad.log", served(1800, 1, "503") + served(1801, 100, "503"))};
  EXPECT_EQ(odd().size(), 101u) << "nothing is learned from the target";
  options.how.numbers = false;
  EXPECT_EQ(odd().size(), 0u);
}

TEST_F(Judged, ARangeHoldsAllThatTheBaselineHad) {
  const auto sizes = [](int count, int size) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "INFO sent bytes=" + std::to_string(size + i % 7) + "\n";
    return text;
  };
  const auto found =
      scores(sizes(100, 50) + sizes(2, 5000) + sizes(3000, 50), sizes(1, 5000) + sizes(1, 9000));
  EXPECT_EQ(found[0], 0) << "it came long ago";
  EXPECT_GT(found[1], 5);
}

TEST_F(Judged, WhenLinesComeIsComparedWithTheBaseline) {
  JudgedOptions options;
  options.baselines = {file("good.log", served(0, 1200))};
  options.targets = {file("bad.log", served(5000, 300, "200", false))};
  const auto rates = [&] {
    std::vector<json> rates;
    for (const json& line : objects(options)) {
      if (line.contains("type")) rates.push_back(line);
    }
    return rates;
  };
  auto found = rates();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0]["rate"], "stopped");
  EXPECT_THAT(found[0]["text"].get<std::string>(), HasSubstr("heartbeat"));
  EXPECT_EQ(found[0]["usual"], 10);
  EXPECT_EQ(found[0]["file"], options.targets[0]);
  EXPECT_THAT(output(options, "text"), HasSubstr("none for "));
  EXPECT_EQ(json::parse(output(options, "json"))["rates"].size(), 1u);

  Baseline saved;
  for (const LogFile& log : log_files(options.baselines, ignore_notes)) saved.learn(log, {}, ignore_notes);
  saved.save(folder_ / "base");
  const auto from_logs = options.baselines;
  options.baselines = {folder_ / "base"};
  EXPECT_EQ(rates(), found);
  options.baselines = from_logs;

  options.ignore_file = file("rules", "heartbeat");
  EXPECT_EQ(rates().size(), 0u);
  options.ignore_file.clear();
  options.how.rates = false;
  EXPECT_EQ(rates().size(), 0u);
  options.how.rates = true;
  options.targets = {file("same.log", served(9000, 600))};
  EXPECT_EQ(rates().size(), 0u) << "the time since the good log ended does not count";
}

TEST_F(Judged, ABaselineOfTheVersionBeforeHasLinesAlone) {
  JudgedOptions options;
  options.baselines = {file("base", R"({"unroll_baseline":1}
{"log":"a.log"}
{"text":"unit disk started","count":3,"severity":0}
)")};
  options.targets = {file("a.log", "unit disk started\nkernel oops\n")};
  const auto lines = objects(options);
  EXPECT_EQ(lines[0]["score"], 0);
  EXPECT_GT(lines[1]["score"], 5);
}

TEST_F(Judged, RepetitionsAreOneEvent) {
  JudgedOptions options;
  options.baselines = {file("good.log", kGood)};
  options.targets = {file("bad.log", "disk 7 lost\n" + kGood + "disk 8 lost\nfan stopped\n")};
  const std::string text = output(options, "text");
  EXPECT_THAT(text, HasSubstr("New in 6 lines, compared with 3 known ones: 2 events\n"));
  EXPECT_THAT(text, HasSubstr("      2  " + options.targets[0] + ":1\n          disk 7 lost\n"));
  const json object = json::parse(output(options, "json"));
  EXPECT_EQ(object["lines"].size(), 6u);
  ASSERT_EQ(object["top"].size(), 2u);
  EXPECT_EQ(object["top"][0]["count"], 2);
  options.targets = {file("same.log", kGood)};
  EXPECT_EQ(json::parse(output(options, "json"))["top"], json::array());
}

}  // namespace
}  // namespace unroll
