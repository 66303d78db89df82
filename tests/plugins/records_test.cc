// The reader of log records: what a terminal shows, carriers, levels, words, traces. Inputs are invented in
// the forms that the named programs write.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/records/json_fields.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/terminal_text.h"
#include "plugins/builtin/records/times.h"
#include "plugins/builtin/records/traces.h"

namespace unroll::testing {
namespace {

using records::carried_text;
using records::record_facts;
using records::terminal_text;

struct Expected {
  std::string line;
  int severity;
};

void expect_severities(const std::vector<Expected>& lines) {
  for (const auto& [line, severity] : lines) {
    const auto carried = carried_text(terminal_text(line));
    EXPECT_EQ(record_facts(carried.text, carried.level).severity, severity) << line;
  }
}

TEST(TerminalText, EscapeSequencesAreNotText) {
  EXPECT_EQ(terminal_text("\x1b[31mERROR\x1b[0m disk"), "ERROR disk");
  EXPECT_EQ(terminal_text("\x1b[1;38;5;208mWARN\x1b[m\x1b[K low"), "WARN low");
  EXPECT_EQ(terminal_text("\x1b]0;title\x07"
                          "a\x1b]8;;http://x\x1b\\b\x1b(Bc"),
            "abc");
  EXPECT_EQ(terminal_text("cut \x1b[31\xC3\xA9t\xC3\xA9"), "cut \xC3\xA9t\xC3\xA9");
  EXPECT_EQ(terminal_text("tab\tstays, \x01not"), "tab\tstays, not");
}

TEST(TerminalText, WhatFollowsTheLastCarriageReturnIsTheLine) {
  EXPECT_EQ(terminal_text("10 %\r50 %\r100 % done"), "100 % done");
  EXPECT_EQ(terminal_text("dos line\r"), "dos line");
  EXPECT_EQ(terminal_text("10 %\r\x1b[2K\rERROR: checksum\r"), "ERROR: checksum");
  EXPECT_EQ(terminal_text("ab\b\bxy \xC3\xA9\bz"), "xy z");
}

TEST(Carried, ContainerRuntimesAndSyslogAreTakenOff) {
  const auto cri = carried_text("2026-03-02T08:00:00.123456789Z stderr F E0302 08:00:00.1 1 x.go:1] no");
  EXPECT_EQ(cri.text, "E0302 08:00:00.1 1 x.go:1] no");
  EXPECT_FALSE(cri.continues);
  EXPECT_EQ(cri.time, "2026-03-02T08:00:00.123456789Z");
  EXPECT_TRUE(carried_text("2026-03-02T08:00:00Z stdout P half a ").continues);
  EXPECT_EQ(carried_text("2026-03-02T08:00:00Z stdout F").text, "");
  EXPECT_EQ(carried_text("2026-03-02T08:00:00Z stdoutx F a").text, "2026-03-02T08:00:00Z stdoutx F a");

  const auto docker =
      carried_text(R"({"log":"say \"hi\"\r\n","stream":"stdout","time":"2026-03-02T08:00:00Z"})");
  EXPECT_EQ(docker.text, R"(say "hi")");
  EXPECT_FALSE(docker.continues);
  EXPECT_EQ(docker.time, "2026-03-02T08:00:00Z");
  EXPECT_TRUE(carried_text(R"({"log":"half","stream":"stderr","time":"x"})").continues);
  EXPECT_EQ(carried_text(R"({"log":"a","level":"info"})").text, R"({"log":"a","level":"info"})");

  EXPECT_EQ(carried_text("<34>Mar  2 host su: x").text, "Mar  2 host su: x");
  EXPECT_EQ(carried_text("<34>Mar  2 host su: x").level, 3);
  EXPECT_EQ(carried_text("<192>x").text, "<192>x");
  EXPECT_EQ(carried_text("<b>x").text, "<b>x");
  EXPECT_EQ(carried_text("\xEF\xBB\xBFx").text, "x");
}

TEST(Severity, AnsiColours) {
  expect_severities({{"08:00 \x1b[31mERROR\x1b[0m disk", 2},
                     {"\x1b[33mwarning\x1b[0m: unused", 1},
                     {"[\x1b[1;31mFATAL\x1b[0m] gone", 3},
                     {"08:00 \x1b[32mINFO\x1b[0m sync failed before, ok", 0}});
}

TEST(Severity, Klog) {
  expect_severities({{"E0302 08:07:42.569000    1412 reconciler.go:224] \"started\" volume=\"a\"", 2},
                     {"F0302 08:07:42.569000    1412 main.go:2] started", 3},
                     {"W0302 08:07:42.569000    1412 main.go:2] started", 1},
                     {"I0302 08:07:42.569000    1412 trace.go:205] \"Failed\" errors=0 failedRequests=0", 0},
                     {"I20260302 08:07:42.569000 1412 x.cc:2] error", 0},
                     {"03-02 08:07:42.569  1702  2395 E ActivityManager: slow", 2},
                     {"03-02 08:07:42.569  1702  2395 D ActivityManager: error", 0},
                     {"W/dalvikvm( 612): thread", 1}});
}

TEST(Severity, JsonByKey) {
  expect_severities(
      {{R"({"level":30,"time":1,"msg":"failed"})", 0},  // pino
       {R"({"level":50,"time":1,"msg":"ok"})", 2},
       {R"({"name":"a","hostname":"h","level":60,"msg":"ok","v":0})", 3},  // bunyan
       {R"({"level":"warn","ts":1.5,"caller":"a.go:1","msg":"ok"})", 1},   // zap
       {R"({"level":"dpanic","ts":1.5,"msg":"ok"})", 3},
       {R"({"@timestamp":"x","message":"ok","level":"ERROR","level_value":40000})", 2},  // logback
       {R"({"log":{"level":"error","logger":"a"},"message":"ok"})", 2},                  // ECS
       {R"({"log.level":"info","message":"error"})", 0},
       {R"({"@l":"Fatal","@mt":"ok"})", 3},                             // Serilog
       {R"({"severityNumber":17,"body":"ok"})", 2},                     // OpenTelemetry
       {R"({"severity":"CRITICAL","message":"ok"})", 3},                // Google Cloud
       {R"({"t":{"$date":"x"},"s":"E","c":"STORAGE","msg":"ok"})", 2},  // MongoDB
       {R"({"levelno":40,"message":"ok"})", 2},                         // Python
       {R"({"version":"1.1","short_message":"ok","level":3})", 2},      // GELF
       {R"({"__CURSOR":"a","PRIORITY":"3","MESSAGE":"ok"})", 2},        // journald
       {R"({"PRIORITY":"6","MESSAGE":"failed"})", 0},
       {R"({"priority":1,"msg":"ok"})", 0}});
}

TEST(Severity, JsonWithoutALevelIsItsMessages) {
  expect_severities({{R"({"msg":"connection refused","error_rate":0})", 2},
                     {R"({"msg":"done","error":null,"failed":0})", 0},
                     {R"({"msg":"done","error":"disk full"})", 2},
                     {R"({"message":"12:00 [error] gone","path":"/x"})", 2},
                     {R"({"path":"/failed","retries":3})", 0}});
}

TEST(Severity, LevelsAtTheEndOfLongJson) {
  const std::string labels = R"("labels":{"a":")" + std::string(3000, 'x') + R"("},)";
  expect_severities({{"{" + labels + R"("msg":"ok","level":"fatal"})", 3},
                     {"{" + labels + R"("msg":"error","level":"info"})", 0},
                     {"web-1  | {" + labels + R"("level":"error"})", 2}});
}

TEST(Severity, Logfmt) {
  expect_severities({{"ts=2026-03-02T08:00:00Z level=error component=a msg=\"ok\"", 2},
                     {"time=\"x\" lvl=warn msg=ok", 1},
                     {"severity=crit a=b", 3},
                     {"level=info msg=\"compaction done\" failed=0 errors=0 err=<nil>", 0},
                     {"level=debug msg=\"request failed: level=error\" a=1", 0},
                     {"component=a failed=0 errors=0 err=\"\" msg=done", 0},
                     {"component=a failed=3 msg=done", 2},
                     {"component=a err=\"connection refused\"", 2}});
}

TEST(Severity, SyslogPriorityCountsIfTheTextHasNoLevel) {
  expect_severities({{"<11>Mar  2 08:00:00 h app[1]: it is so", 2},
                     {"<14>Mar  2 08:00:00 h app[1]: it failed", 0},
                     {"<0>kernel: it is so", 3},
                     {"<12>1 2026-03-02T08:00:00Z h app 1 - - it is so", 1},
                     {"<14>Mar  2 08:00:00 h app[1]: ERROR: it is so", 2}});
}

TEST(Severity, CarriersOfOtherFormats) {
  expect_severities({{"2026-03-02T08:00:00Z stdout F {\"level\":\"error\",\"msg\":\"ok\"}", 2},
                     {R"({"log":"level=error msg=ok\n","stream":"stdout","time":"x"})", 2},
                     {R"({"log":"INFO error budget\n","stream":"stderr","time":"x"})", 0}});
}

TEST(Severity, DebugIsADetail) {
  for (const char* line :
       {"12:00:01 DEBUG took it", "[trace] x", R"({"level":20,"msg":"x"})", R"({"levelno":10,"a":1})",
        R"({"severityNumber":5,"a":1})", R"({"level":"debug"})", "ts=1 level=debug msg=x",
        "D0302 08:07:42.5 1 a.go:1] x", "level_value=10000 level=DEBUG a=1"}) {
    const auto facts = record_facts(line);
    EXPECT_TRUE(facts.detail) << line;
    EXPECT_TRUE(facts.has_level && facts.severity == 0) << line;
  }
  for (const char* line :
       {"12:00:01 INFO debug mode is off", R"({"level":30,"msg":"x"})", "plain", R"({"severity":200,"a":1})"})
    EXPECT_FALSE(record_facts(line).detail) << line;
}

TEST(Severity, FieldsOfText) {
  expect_severities({{"RAS KERNEL FATAL data TLB interrupt", 3},
                     {"RAS KERNEL INFO cache parity error corrected", 0},
                     {"10:01 [error] client gone", 2},
                     {"10:01 <warning> low on space", 1},
                     {"ERROR:root:text", 2},
                     {"[2026-03-02 08:00:00,1: ERROR/MainProcess] text", 2},
                     {"2026-03-02T08:00:00.1Z\terror\tmain/a.go:1\ttext", 2},
                     {"08:00:01 error: text", 2},
                     {"npm ERR! code 1", 2},
                     {"sshd[12]: Failed password for root", 2},
                     {"kernel: Panic: giving up", 3},
                     {"session opened, alert and well", 0},
                     {"no news is information", 0},
                     {"", 0}});
}

TEST(Severity, WordsInNamesOptionsNegationsAndZeroCountsDoNotCount) {
  expect_severities({{"started with --fail-fast -Werror", 0},
                     {"read /var/log/error.log and error_log", 0},
                     {"failover drill finished", 0},
                     {"error budget report sent", 0},
                     {"0 errors, 0 failed", 0},
                     {"10 errors", 2},
                     {"Tests run: 5, Failures: 0, Errors: 0", 0},
                     {"Tests run: 5, Failures: 1, Errors: 0", 2},
                     {"done, no failed jobs, no rejects", 0},
                     {"finished without any errors", 0},
                     {"did not fail", 0},
                     {"could not open: permission denied", 2},
                     {"timeout=30s", 0},
                     {"timeout: 5000", 0},
                     {"request timeout after 30 s", 2},
                     {"ErrorHandler registered", 0},
                     {"cache invalidated", 0},
                     {"java.io.IOException: broken pipe", 2},
                     {"ValueError: bad", 2},
                     {"make: *** [all] Error 2", 2}});
}

using records::LinePlace;

/// The places of the lines: '.' begins a record, 't' continues it, 'f' is a frame.
std::string places(const std::vector<std::string>& lines) {
  records::Traces traces;
  std::string places;
  bool problem = false;
  for (const auto& line : lines) {
    const auto text = records::after_header(line);
    const auto place = traces.next(text, problem);
    if (place == LinePlace::kRecord) problem = record_facts(line).severity > 0;
    places += place == LinePlace::kRecord ? '.' : place == LinePlace::kTrace ? 't' : 'f';
  }
  return places;
}

TEST(Traces, Java) {
  EXPECT_EQ(places({"08:00 ERROR a.B - save", "java.io.IOException: full", "\tat a.B.c(B.java:12)",
                    "\tat java.base/x.Y.run(Unknown Source)", "Caused by: java.lang.Error: x",
                    "\tat a.D.e(D.java:1)", "\t... 12 more", "08:01 INFO a.B - go on"}),
            ".tfftff.");
  EXPECT_EQ(places({"Exception in thread \"main\" java.lang.Error: x", "\tat a.B.main(B.java:1)", "bye"}),
            ".f.");
  EXPECT_EQ(places({"08:00 INFO fine", "java.lang.NullPointerException", "\tat a.B.c(B.java:1)"}), "..f")
      << "what a routine line has nothing to do with is a record";
}

TEST(Traces, Python) {
  EXPECT_EQ(places({"ERROR:root:job", "Traceback (most recent call last):", "  File \"a.py\", line 1, in f",
                    "    g()", "KeyError: 'a'", "",
                    "During handling of the above exception, another "
                    "exception occurred:",
                    "", "Traceback (most recent call last):", "  File \"a.py\", line 2", "a.b.MyError: x",
                    "INFO:root:next"}),
            ".ffftffffft.");
  EXPECT_EQ(places({"INFO:root:job", "Traceback (most recent call last):", "  File \"a.py\", line 1",
                    "ValueError: x", "INFO:root:next"}),
            "..ft.");
  EXPECT_EQ(places({"Mar  2 08:00:00 h app[1]: Traceback (most recent call last):",
                    "Mar  2 08:00:00 h app[1]:   File \"a.py\", line 1", "Mar  2 08:00:00 h app[1]: E.x: y",
                    "Mar  2 08:00:00 h app[1]: next line"}),
            ".ft.");
}

TEST(Traces, Go) {
  EXPECT_EQ(places({"2026/03/02 08:00:00 served", "panic: runtime error: index out of range", "",
                    "goroutine 1 [running]:", "main.(*Server).run(0xc0000b4000, 0x1)",
                    "\t/src/main.go:12 +0x1d", "created by main.start", "\t/src/main.go:3 +0x2",
                    "exit status 2", "2026/03/02 08:00:01 started"}),
            "..fffffff.");
  EXPECT_EQ(places({"fatal error: all goroutines are asleep - deadlock!", "",
                    "goroutine 1 [chan receive]:", "main.main()", "\t/a.go:5 +0x1", "next line"}),
            ".ffff.");
  EXPECT_EQ(places({"E0302 08:00:00.1 1 a.go:1] failed", "goroutine 7 [running]:", "a/b.c(...)", "\t/a.go:5",
                    "I0302 08:00:00.1 1 a.go:1] ok"}),
            ".tff.");
}

TEST(Traces, Node) {
  EXPECT_EQ(places({"TypeError: Cannot read properties of undefined", "    at f (/a/b.js:1:2)",
                    "    at async Promise.all (index 0)", "    at /a/c.js:3:4", "listening"}),
            ".fff.");
  EXPECT_EQ(places({"Error: connect", "    at TCP.x [as y] (node:net:1:2)", "next"}), ".f.");
  EXPECT_EQ(places({"08:00 error: request", "RangeError: x", "    at g (b.js:1:2)", "  [cause]: Error: y",
                    "      at h (c.js:1:2)", "08:01 info: x"}),
            ".tftf.");
}

TEST(Traces, DotNet) {
  EXPECT_EQ(places({"fail: App[0]", "System.InvalidOperationException: x", " ---> System.Exception: y",
                    "   at A.B.C(String s) in /a/b.cs:line 12",
                    "   --- End of inner exception stack trace ---", "   at A.D()", "info: App[0]"}),
            ".ttfff.");
  EXPECT_EQ(places({"Unhandled exception. System.ArgumentException: x", "   at A.B() in C:\\a\\b.cs:line 3",
                    "   at A.Main()", "bye"}),
            ".ff.");
  EXPECT_EQ(places({"2026-03-02 08:00:00 [ERR] save", "A.B.CustomException: x", "   at A.B(Int32 i)",
                    "2026-03-02 08:00:01 [INF] next"}),
            ".tf.");
}

TEST(Traces, Rust) {
  EXPECT_EQ(places({"thread 'main' panicked at src/main.rs:3:5:", "index out of bounds",
                    "note: run with `RUST_BACKTRACE=1`", "started"}),
            ".tf.");
  EXPECT_EQ(places({"thread 'w' panicked at 'boom', src/main.rs:3:5", "stack backtrace:",
                    "   0: rust_begin_unwind", "             at /rustc/x.rs:1:2", "   1: core::x", "next"}),
            ".ffff.");
  EXPECT_EQ(places({"[2026-03-02T08:00:00Z ERROR a] down", "thread 'main' panicked at src/main.rs:3:5:",
                    "boom", "stack backtrace:", "   0: x", "[2026-03-02T08:00:01Z INFO a] up"}),
            ".ttff.");
}

TEST(Traces, LinesThatLookAlikeAreRecords) {
  EXPECT_EQ(places({"10:00 ERROR a", "  indented text", "Error: b", "at home", "Caused by nothing",
                    "    at the end of the day we stop"}),
            "......");
}

TEST(Times, AreSeconds) {
  const double day = 1772409600;  // 2026-03-02
  const double morning = day + 8 * 3600 + 60 + 2;
  const std::vector<std::pair<std::string, double>> times = {{"2026-03-02T08:01:02Z", morning},
                                                             {"2026-03-02 08:01:02,250", morning + 0.25},
                                                             {"2026-03-02T10:01:02.5+02:00", morning + 0.5},
                                                             {"2026-03-02T03:01:02-0500", morning},
                                                             {"2026/03/02 08:01:02", morning},
                                                             {"02/Mar/2026:08:01:02", morning},
                                                             {"02.03.2026 08:01:02", morning},
                                                             {"1772438462", morning},
                                                             {"1772438462.25", morning + 0.25},
                                                             {"1772438462250", morning + 0.25},
                                                             {"1772438462250000", morning + 0.25},
                                                             {"1772438462250000000", morning + 0.25},
                                                             {"08:01:02.75", 8 * 3600 + 62.75}};
  for (const auto& [text, seconds] : times) {
    const auto found = records::seconds_of(text);
    ASSERT_TRUE(found) << text;
    EXPECT_NEAR(*found, seconds, 1e-3) << text;
  }
  // Without a year all forms have the same one.
  const auto syslog = records::seconds_of("Mar  2 08:01:02");
  for (const char* text : {"Mar 02 08:01:02", "03-02 08:01:02.000", "0302 08:01:02.0"})
    EXPECT_EQ(records::seconds_of(text), syslog) << text;
  EXPECT_NEAR(*records::seconds_of("Mar  1 00:00:00") - *records::seconds_of("Feb 28 23:59:59"), 86401, 1e-3);
  for (const char* text :
       {"", "noon", "12345", "12345678901", "2026-13-02T08:01:02", "Mai  2 08:01:02", "99"})
    EXPECT_FALSE(records::seconds_of(text)) << text;
}

TEST(Times, InAFormatThatTheUserNames) {
  const records::TimeFormat format("%d|%m|%Y at %Hh%M:%S");
  EXPECT_EQ(format.find("job 7 <02|03|2026 at 08h01:02.5> done"), 1772438462.5);
  EXPECT_FALSE(format.find("job 7 <02.03.2026> done"));
  EXPECT_FALSE(format.find(""));
  EXPECT_EQ(records::TimeFormat("%s").find("1772438462 done"), 1772438462.0);
  EXPECT_EQ(records::TimeFormat("%FT%T%z").find("2026-03-02T10:01:02+0200 done"), 1772438462.0);
}

TEST(JsonFields, CutOffNestedAndHostile) {
  EXPECT_EQ(records::json_fields(R"({"a":1,"b":"x)").size(), 1u);
  const auto fields = records::json_fields(R"({"a":{"b":{"c":1},"d":[1,{"e":2}],"f":true},"g":null})");
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].key, "a.f");
  EXPECT_EQ(fields[0].value, "true");
  EXPECT_EQ(fields[1].key, "g");
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "{\"a\":";
  EXPECT_TRUE(records::json_fields(deep).empty());
  EXPECT_TRUE(records::json_fields("[1,2]").empty());
  EXPECT_TRUE(records::json_fields("12").empty());
}

}  // namespace
}  // namespace unroll::testing
