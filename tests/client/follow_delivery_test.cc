// Events of `unroll follow` at a real webhook that fails half its calls, and at commands.
#include <map>
#include <set>

#include "tests/client/follow_end_to_end.h"

namespace unroll::test {
namespace {

class FollowDelivery : public Follow {
 protected:
  void SetUp() override {
    Follow::SetUp();
    server_ = std::make_unique<Process>(
        std::vector<std::string>{"/usr/bin/env", "python3",
                                 UNROLL_SOURCE_DIR "/tests/client/webhook_server.py", file("port").string(),
                                 file("calls").string()},
        file("server-log"));
    ASSERT_TRUE(eventually([] { return fs::exists(file("port")); })) << read_file(file("server-log"));
  }

  static std::string url(const std::string& path) {
    return "http://127.0.0.1:" + read_file(file("port")) + path;
  }
  /// What the webhook was sent so far; `accepted`: only what it took.
  static std::vector<json> calls(bool accepted) {
    if (!fs::exists(file("calls"))) return {};
    std::string text = read_file(file("calls"));
    text.resize(text.rfind('\n') + 1);
    std::vector<json> calls = lines_of(text);
    if (accepted) std::erase_if(calls, [](const json& call) { return call["status"] != 204; });
    return calls;
  }
  static std::set<int> delivered_lines() {
    std::set<int> lines;
    for (const json& call : calls(true)) lines.insert(call["body"]["line"].get<int>());
    return lines;
  }
  /// Every line is an event.
  static std::vector<std::string> every_line(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {file("a.log").string(), "--threshold", "-1000", "--quiet-ms", "50"});
    return embedded_command(std::move(arguments));
  }
  /// Events that wait.
  static std::ptrdiff_t waiting(const std::string& folder = "") {
    std::ptrdiff_t count = 0;
    for (const auto& spool : fs::directory_iterator(file("state"))) {
      if (!spool.is_directory()) continue;
      if (!fs::exists(spool.path() / folder)) continue;
      for (const auto& event : fs::directory_iterator(spool.path() / folder))
        count += event.path().extension() == ".json" ? 1 : 0;
    }
    return count;
  }

  std::unique_ptr<Process> server_;
};

TEST_F(FollowDelivery, WebhookGetsEveryEventWithAStableId) {
  const auto command = every_line({"--webhook", url("/hook")});
  append(file("a.log"), log_of(1, 10));
  {
    Process killed(command, file("log"));
    ASSERT_TRUE(eventually([] { return delivered_lines().size() >= 3; })) << read_file(file("log"));
    killed.stop(SIGKILL);
  }
  append(file("a.log"), log_of(11, 5));
  Process follows(command, file("log"));
  EXPECT_TRUE(eventually([] { return delivered_lines().size() >= 15 && waiting() == 0; }));
  EXPECT_EQ(follows.stop(SIGTERM), 0) << read_file(file("log"));
  std::map<json, json> lines;  // by id
  for (const json& call : calls(false)) {
    const json& event = call["body"];
    EXPECT_EQ(call["key"], event["id"]);
    const json line = {event["line"], event["text"], event["score"], event["severity"], event["source"]};
    EXPECT_EQ(lines.emplace(event["id"], line).first->second, line);
  }
  EXPECT_EQ(lines.size(), 15u);
  EXPECT_EQ(delivered_lines().size(), 15u);
  EXPECT_EQ(calls(false).front()["body"]["text"], "12:00:1 install package-1 ok");
  EXPECT_THAT(read_file(file("log")),
              testing::AllOf(HasSubstr("does not take events"), testing::Not(HasSubstr("package-"))));
}

TEST_F(FollowDelivery, AlertmanagerGetsAlerts) {
  append(file("a.log"), "2026-03-02T08:00:00 ERROR the disk is full\n");
  Process follows(every_line({"--webhook", url("/api/v2/alerts"), "--webhook-format", "alertmanager"}),
                  file("log"));
  ASSERT_TRUE(eventually([] { return !calls(true).empty(); })) << read_file(file("log"));
  follows.stop(SIGTERM);
  const json alerts = calls(true).front()["body"];
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0]["labels"]["alertname"], "UnusualLogLine");
  EXPECT_EQ(alerts[0]["labels"]["severity"], "error");
  EXPECT_EQ(alerts[0]["labels"]["source"], file("a.log").string());
  EXPECT_EQ(alerts[0]["labels"]["event"], calls(true).front()["key"]);
  EXPECT_EQ(alerts[0]["annotations"]["summary"], "2026-03-02T08:00:00 ERROR the disk is full");
  EXPECT_EQ(alerts[0]["annotations"]["line"], "1");
  EXPECT_THAT(alerts[0]["startsAt"].get<std::string>(), testing::MatchesRegex("20..-..-..T..:..:..Z"));
}

TEST_F(FollowDelivery, WhatTheServerRefusesIsKeptAndDoesNotHoldUpTheRest) {
  append(file("a.log"), log_of(1, 3));
  Process follows(every_line({"--webhook", url("/refuse")}), file("log"));
  EXPECT_TRUE(eventually([] { return fs::exists(file("state")) && waiting("refused") == 3; }));
  follows.stop(SIGTERM);
  EXPECT_EQ(calls(false).size(), 3u);
  EXPECT_EQ(waiting(), 0);
  EXPECT_THAT(read_file(file("log")), HasSubstr("refuses an event: it answers with status 400"));
}

TEST_F(FollowDelivery, CommandRunsUntilItSucceeds) {
  append(file("a.log"),
         "2026-03-02T08:00:00 WARN it's \"hot\"; $(touch " + file("injected").string() + ")\n");
  const std::string got = file("got").string();
  Process follows(
      every_line({"--exec", "test -e '" + got + "' && cat >> '" + got +
                                "' && printf '%s %s\\n' \"$UNROLL_LINE\" \"$UNROLL_SEVERITY\" >> '" + got +
                                "' || { touch '" + got + "'; exit 3; }"}),
      file("log"));
  EXPECT_TRUE(eventually([&] { return fs::exists(got) && fs::file_size(got) > 0 && waiting() == 0; }));
  follows.stop(SIGTERM);
  const std::string text = read_file(got);
  const json event = json::parse(text.substr(0, text.find('\n')));
  EXPECT_THAT(event["text"].get<std::string>(), HasSubstr("it's \"hot\"; $(touch "));
  EXPECT_EQ(event["time"], "2026-03-02T08:00:00");
  EXPECT_EQ(text.substr(text.find('\n') + 1), "1 warning\n");
  EXPECT_FALSE(fs::exists(file("injected")));
  EXPECT_THAT(read_file(file("log")), HasSubstr("it ended with exit code 3; 1 waits"));
}

TEST_F(FollowDelivery, CountersByFileAndSeverity) {
  append(file("a.log"), log_of(1, 3) + "12:00:04 ERROR x\n12:00:05 FATAL y\n12:00:06 ERROR z\n");
  const std::string metrics = file("unroll.prom").string();
  const std::string label = "{file=\"" + file("a.log").string() + "\"";
  Process follows(every_line({"--metrics-file", metrics}), file("log"));
  EXPECT_TRUE(eventually([&] {
    return fs::exists(metrics) &&
           read_file(metrics).find("unroll_follow_lines_total" + label + "} 6\n") != std::string::npos;
  })) << read_file(file("log"));
  EXPECT_EQ(follows.stop(SIGTERM), 0);
  const std::string events = "unroll_follow_events_total" + label + ",severity=";
  EXPECT_THAT(read_file(metrics),
              testing::AllOf(HasSubstr("# TYPE unroll_follow_events_total counter\n" + events),
                             HasSubstr(events + "\"critical\"} 1\n"), HasSubstr(events + "\"error\"} 2\n"),
                             HasSubstr(events + "\"info\"} 3\n"), HasSubstr(events + "\"warning\"} 0\n")));
  EXPECT_EQ(fs::status(metrics).permissions() & fs::perms::others_read, fs::perms::others_read);
}

TEST_F(FollowDelivery, CommandLineErrors) {
  expect_failure(unroll({"follow", "a", "--webhook", "alerts.example"}), "http://", "https://", 2);
  expect_failure(unroll({"follow", "a", "--exec", "true", "--plugin", "score", "--format", "ndjson"}),
                 "are for unusual lines", "leave --plugin out", 2);
}

}  // namespace
}  // namespace unroll::test
