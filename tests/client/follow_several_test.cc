// Several logs in one `unroll follow`: files, patterns, marks, ignore rules.
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/file.h>

#include "base/unique_fd.h"
#include "client/follow/event_filter.h"
#include "client/follow/follow_source.h"
#include "tests/client/follow_end_to_end.h"

namespace unroll::test {
namespace {

class FollowSeveral : public Follow {
 protected:
  void SetUp() override {
    Follow::SetUp();
    fs::create_directory(file("logs"));
  }
  static fs::path log(const std::string& name) { return file("logs") / name; }
  static std::string pattern() { return file("logs/*.log*").string(); }

  /// What was printed of each file.
  static std::map<std::string, std::vector<json>> printed() {
    std::string text = out();
    text.resize(text.rfind('\n') + 1);
    std::map<std::string, std::vector<json>> of;
    for (const json& line : lines_of(text)) of[line["file"].get<std::string>()].push_back(line["data"]);
    return of;
  }
  static std::size_t printed_of(const std::string& name) { return printed()[log(name)].size(); }

  static void expect_reading(const std::string& name, const std::string& text) {
    write_file(file("whole"), text);
    const auto expected =
        lines_of(read_embedded({"run", "--plugin", R"(anomaly:{"top":0})", file("whole").string()}));
    const auto got = printed()[log(name)];
    ASSERT_LE(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      for (const char* key : {"line", "start", "end"})
        ASSERT_EQ(got[i][key], expected[i]["data"][key]) << name << i;
      // After a pause, what is there is read as a shorter block.
      ASSERT_NEAR(got[i]["score"].get<double>(), expected[i]["data"]["score"].get<double>(), 0.01)
          << name << i;
    }
  }
};

TEST_F(FollowSeveral, EachFileIsADocumentOfItsOwnAcrossAKill) {
  const auto command = embedded_command({pattern(), file("other").string(), "--format", "ndjson"});
  append(log("a.log"), log_of(1, 100));
  append(log("b.log"), log_of(1, 60));
  append(file("other"), log_of(31, 60));
  {
    Process killed(command, file("log"));
    ASSERT_TRUE(eventually([] { return printed_of("a.log") >= 50 && printed_of("b.log") >= 30; }))
        << read_file(file("log"));
    killed.stop(SIGKILL);
  }
  append(log("a.log"), log_of(101, 100));
  fs::rename(log("b.log"), log("b.log.1"));  // also matches, and belongs to b.log
  append(log("b.log"), log_of(61, 60));
  Process follows(command, file("log"));
  append(log("c.log"), log_of(1, 80));
  EXPECT_TRUE(eventually([] {
    return printed_of("a.log") >= 190 && printed_of("b.log") >= 110 && printed_of("c.log") >= 70 &&
           printed()[file("other")].size() >= 50;
  })) << read_file(file("log"));
  append(log("c.log"), log_of(81, 20));
  EXPECT_TRUE(eventually([] { return printed_of("c.log") >= 95; }));
  EXPECT_EQ(follows.stop(SIGTERM), 0) << read_file(file("log"));
  expect_reading("a.log", log_of(1, 200));
  expect_reading("b.log", log_of(1, 120));
  expect_reading("c.log", log_of(1, 100));
  EXPECT_EQ(printed().size(), 4u) << "b.log.1 is no log of its own";
  EXPECT_EQ(read_file(file("log")), "");
}

TEST_F(FollowSeveral, AFileThatIsRemovedEndsAndGoesOnWhenItReturns) {
  const auto command = daemon_command({pattern(), "--format", "ndjson", "--quiet-ms", "50"});
  append(log("a.log"), log_of(1, 30));
  append(log("b.log"), log_of(1, 30));
  Process follows(command, file("log"));
  ASSERT_TRUE(eventually([] { return printed_of("a.log") == 30 && printed_of("b.log") == 30; }));
  fs::remove(log("a.log"));
  fs::path lock;
  for (const auto& entry : fs::directory_iterator(file("state"))) {
    const std::string name = entry.path().filename();
    if (name.find("_a.log-") != std::string::npos && name.ends_with(".lock")) lock = entry.path();
  }
  ASSERT_TRUE(eventually([&] {
    const UniqueFd opened(::open(lock.c_str(), O_RDWR | O_CLOEXEC));
    return ::flock(opened.get(), LOCK_EX | LOCK_NB) == 0;
  })) << "nobody follows it any more";
  append(log("a.log"), log_of(31, 30));
  EXPECT_TRUE(eventually([] { return printed_of("a.log") == 60; })) << read_file(file("log"));
  EXPECT_EQ(follows.stop(SIGTERM), 0);
  EXPECT_EQ(printed()[log("a.log")].back()["line"], 60) << "the same document goes on";
}

TEST_F(FollowSeveral, WhatIsKeptOfAFileThatIsGoneIsForgottenAfterAWeek) {
  const auto command = daemon_command({pattern(), "--format", "ndjson", "--quiet-ms", "50"});
  append(log("a.log"), log_of(1, 30));
  append(log("b.log"), log_of(1, 30));
  {
    Process follows(command, file("log"));
    ASSERT_TRUE(eventually([] { return printed_of("a.log") == 30 && printed_of("b.log") == 30; }));
    EXPECT_EQ(follows.stop(SIGTERM), 0);
  }
  const auto kept_of = [](const std::string& name) {
    std::vector<fs::path> kept;
    for (const auto& entry : fs::directory_iterator(file("state"))) {
      if (entry.path().filename().string().find("_" + name + "-") != std::string::npos)
        kept.push_back(entry.path());
    }
    return kept;
  };
  fs::remove(log("a.log"));
  ASSERT_GT(kept_of("a.log").size(), 2u);
  for (const std::string name : {"a.log", "b.log"}) {
    for (const fs::path& kept : kept_of(name))
      fs::last_write_time(kept, fs::last_write_time(kept) - std::chrono::hours(8 * 24));
  }
  Process follows(command, file("log"));
  EXPECT_TRUE(eventually([&] { return kept_of("a.log").empty(); })) << read_file(file("log"));
  EXPECT_GT(kept_of("b.log").size(), 2u);
  EXPECT_THAT(read_file(file("log")), HasSubstr("a.log is gone for a week"));
  append(log("b.log"), log_of(31, 30));
  EXPECT_TRUE(eventually([] { return printed_of("b.log") == 60; })) << read_file(file("log"));
  EXPECT_EQ(follows.stop(SIGTERM), 0);
}

TEST_F(FollowSeveral, ALineNamesItsLog) {
  append(log("a.log"), log_of(1, 50));
  append(log("b.log"), log_of(1, 20));
  Process follows(embedded_command({pattern(), "--threshold", "-1000", "--quiet-ms", "50"}), file("log"));
  EXPECT_TRUE(eventually([] { return lines() == 70; })) << out();
  follows.stop(SIGTERM);
  EXPECT_THAT(out(), HasSubstr("  " + log("a.log").string() + ": Segfault!! %%%% @@ zqx\n"));
  EXPECT_THAT(out(), HasSubstr("  " + log("b.log").string() + ": 12:00:1 install package-1 ok\n"));
}

TEST_F(FollowSeveral, AMarkSilencesItsLikeInItsLogAlone) {
  const std::string state = file("state").string();
  append(log("a.log"), log_of(1, 5));
  append(log("b.log"), log_of(1, 5));
  const auto command = embedded_command(
      {log("a.log"), log("b.log"), "--threshold", "-1000", "--quiet-ms", "50", "--format", "ndjson"});
  const auto silenced = [](const std::string& name) {
    std::size_t count = 0;
    const auto lines = printed();
    for (const json& line : lines.at(log(name))) count += line.contains("normal_by") ? 1 : 0;
    return count;
  };
  Process follows(command, file("log"));
  ASSERT_TRUE(eventually([] { return printed_of("a.log") == 5 && printed_of("b.log") == 5; }));
  EXPECT_EQ(silenced("a.log"), 0u);
  const Finished marked = unroll({"follow", "mark", "a.log:3", "normal", "--state", state});
  EXPECT_EQ(marked.exit_code, 0) << marked.err;
  append(log("a.log"), log_of(6, 5) + "12:00:11 ERROR install package-11 ok\n");
  append(log("b.log"), log_of(6, 5));
  ASSERT_TRUE(eventually([] { return printed_of("a.log") == 11 && printed_of("b.log") == 10; }));
  EXPECT_EQ(silenced("a.log"), 5u) << "an error is not like it";
  EXPECT_EQ(silenced("b.log"), 0u);
  const std::string event = printed()[log("a.log")][5]["normal_by"];
  EXPECT_EQ(unroll({"follow", "mark", event, "unusual", "--state", state}).exit_code, 0);
  append(log("a.log"), log_of(12, 5));
  ASSERT_TRUE(eventually([] { return printed_of("a.log") == 16; }));
  EXPECT_EQ(silenced("a.log"), 5u);
  EXPECT_EQ(follows.stop(SIGTERM), 0) << read_file(file("log"));
  expect_failure(unroll({"follow", "mark", "a.log:99", "normal", "--state", state}), "there is no event",
                 "SOURCE:LINE");
  expect_failure(unroll({"follow", "mark", "a.log:3", "dull", "--state", state}), "normal|unusual", "./mark",
                 2);
}

TEST_F(FollowSeveral, IgnoredLinesAreNotShown) {
  append(log("a.log"), log_of(1, 30) + "12:00:31 FATAL disk on fire\n12:00:32 FATAL disk is lost\n");
  write_file(file("rules"), "# known\n\non fire$\n");
  Process follows(embedded_command({log("a.log"), "--threshold", "-1000", "--quiet-ms", "50", "--ignore-file",
                                    file("rules")}),
                  file("log"));
  ASSERT_TRUE(eventually([] { return out().find("disk is lost") != std::string::npos; })) << out();
  follows.stop(SIGTERM);
  EXPECT_EQ(out().find("on fire"), std::string::npos);
  write_file(file("rules"), "(");
  expect_failure(embedded({"follow", "a", "--ignore-file", file("rules")}), "rules, line 1",
                 "not a regular expression");
}

TEST_F(FollowSeveral, CountersNameTheLog) {
  const std::string metrics = file("unroll.prom").string();
  append(log("a.log"), log_of(1, 3) + "12:00:04 ERROR x\n");
  append(log("b.log"), log_of(1, 2));
  Process follows(embedded_command({log("a.log"), log("b.log"), "--threshold", "-1000", "--quiet-ms", "50",
                                    "--metrics-file", metrics}),
                  file("log"));
  const auto lines_of_log = [](const std::string& name, int count) {
    return "unroll_follow_lines_total{file=\"" + log(name).string() + "\"} " + std::to_string(count) + "\n";
  };
  EXPECT_TRUE(eventually([&] {
    const std::string text = fs::exists(metrics) ? read_file(metrics) : "";
    return text.find(lines_of_log("a.log", 4) + lines_of_log("b.log", 2)) != std::string::npos;
  })) << read_file(file("log"));
  follows.stop(SIGTERM);
  EXPECT_THAT(read_file(metrics),
              HasSubstr("events_total{file=\"" + log("a.log").string() + "\",severity=\"error\"} 1\n"));
}

/// What is silenced takes no alert from other lines.
TEST(EventFilter, IgnoresBeforeTheAlertRate) {
  const TemporaryFolder folder;
  write_file(folder / "rules", "noise");
  const auto alerts = [&](bool ignores) {
    EventFilterOptions options;
    options.alert_rate = 5;
    options.folder = folder.path();
    options.scope = "a";
    if (ignores) options.ignore = std::make_shared<const IgnoreRules>((folder / "rules").string());
    json recorded;
    int of_noise = 0, of_others = 0;
    for (int i = 0; i < 3000; ++i) {
      EventFilter filter(options, recorded);  // as if the process were restarted after each line
      const bool noise = i % 19 == 0, odd = i % 500 == 499;
      const bool alert = filter
                             .take(noise ? 9 + i % 100 / 50.0
                                   : odd ? 6
                                         : 0.5,
                                   [&] {
                                     return EventFilter::Line{noise ? "some noise" : "a line", 0};
                                   })
                             .is_event;
      (noise ? of_noise : of_others) += alert ? 1 : 0;
      recorded = json::parse(filter.record().dump());
    }
    return std::pair(of_noise, of_others);
  };
  EXPECT_GT(alerts(false).first, 8);
  EXPECT_LT(alerts(false).second, 3);
  EXPECT_EQ(alerts(true), std::pair(0, 6));
}

TEST(FollowSource, PatternsLeaveEarlierGenerationsOut) {
  const TemporaryFolder folder;
  for (const char* name : {"a.log", "a.log.1", "a.log.2.gz", "a.1.log", "b.log-20260131", "c.log"})
    write_file(folder / name, "x");
  fs::create_directory(folder / "d.log");
  const std::vector<fs::path> all = {folder / "a.log", folder / "b.log-20260131", folder / "c.log"};
  EXPECT_EQ(matches_of((folder / "*log*").string(), {}), all);
  EXPECT_EQ(matches_of((folder / "b*").string(), {folder / "b.log"}), std::vector<fs::path>())
      << "rotated away";
  EXPECT_TRUE(is_pattern((folder / "*.log").string()));
  EXPECT_FALSE(is_pattern((folder / "a.log").string()));
}

}  // namespace
}  // namespace unroll::test
