// Variants of the forms that record_formats_test.cc has: other libraries, other options of the same library,
// what carriers add. Each was once read wrongly, or is next to one that was.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plugins/builtin/records/json_fields.h"
#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/terminal_text.h"
#include "plugins/builtin/records/times.h"
#include "tests/plugins/trace_places.h"

namespace unroll::testing {
namespace {

using records::carried_record;
using records::carried_text;
using records::record_facts;
using records::terminal_text;

struct Line {
  std::string line;
  int severity;
};

void expect_severities(const std::vector<Line>& lines, bool written = true) {
  for (const auto& [line, severity] : lines) {
    const auto carried = carried_text(terminal_text(line));
    const auto facts = record_facts(carried.text, carried.level);
    EXPECT_EQ(facts.severity, severity) << line;
    EXPECT_EQ(facts.has_level, written) << line;
  }
}

TEST(Variants, JsonOfOtherLibraries) {
  expect_severities({
      {R"({"message":"ok","context":{},"level":400,"level_name":"ERROR","channel":"app"})", 2},  // Monolog
      {R"({"message":"failed before","context":{},"level":200,"channel":"app"})", 0},
      {R"({"message":"ok","level":300})", 1},
      {R"({"time":"2026-03-02T08:00:00Z","level":"ERROR+2","msg":"ok"})", 2},  // slog
      {R"x({"level":"Level(-3)","ts":1.5,"msg":"failed"})x", 0},               // zap
      {R"({ "level": "error", "msg": "ok" })", 2},
      {R"({"level":"warn","priority":"critical","msg":"ok"})", 1},
      {R"({"priority":"critical","level":"info","msg":"ok"})", 0},
      {R"({"priority":"high","severity":"WARNING","msg":"ok"})", 1},
      {R"({"level":30,"levelname":"ERROR","msg":"ok"})", 2},
      {R"({"fields":{"level":"error"},"message":"ok"})", 2},
      {R"({"level":"http","message":"GET /error 200"})", 0},  // winston
      {R"({"level":"silly","message":"failed"})", 0},
      {R"({"level":"success","message":"0 failed"})", 0},
      {R"({"syslogseverity-text":"err","message":"ok"})", 2},
      {R"({"Level":2,"LevelDisplayName":"Error","Message":"ok"})", 2},
      {R"({"timestamp":"2026-03-02T08:00:00Z","level":"ERROR","fields":{"message":"ok"},"target":"a"})", 2},
      {R"({"level":"50","msg":"ok"})", 2},
      {R"({"level":"E","msg":"ok"})", 2},
      {R"(Mar  2 08:00:00 web app[12]: {"level":"error","msg":"ok"})", 2},
      {"{'level': 'info', 'msg': 'request failed'}", 0},
      {R"({"text":"2026-03-02 08:00:00.123 | ERROR    | a:b:12 - ok","record":{"level":{"name":"ERROR"}}})",
       2},  // loguru
  });
  expect_severities({{R"({"battery":{"level":20},"msg":"ok"})", 0},
                     {R"({"user":{"level":3},"msg":"ok"})", 0},
                     {R"({"priority":2,"msg":"ok"})", 0},
                     {R"(set "level":50 of the valve)", 0}},
                    false);
}

TEST(Variants, KlogBehindAHeader) {
  expect_severities({
      {"Mar  2 08:00:00 node kubelet[1412]: E0302 08:00:00.123456    1412 kubelet.go:1] \"ok\"", 2},
      {"2026-03-02T08:00:00.123456789Z W0302 08:00:00.123456       1 a.go:1] ok", 1},
      {"web-1  | F0302 08:00:00.123456       1 a.go:1] ok", 3},
      {"Mar  2 08:00:00 node kubelet[1412]: I0302 08:00:00.123456    1412 a.go:1] \"Failed before\"", 0},
      {"E20260302 08:00:00.123456  1412 file.cc:12] ok", 2},
      {"2026-03-02 08:00:00.123  1702  2395 E ActivityManager: ok", 2},
  });
}

TEST(Variants, KlogsLetterBeginsAWord) {
  expect_severities({{"2026-03-02 disk NVME0302 08:00:00.123456 mounted", 0}}, false);
}

TEST(Variants, ShortLevels) {
  expect_severities({
      {"ERRO[0000] ok                 key=a", 2},  // logrus
      {"WARN[0012] ok", 1},
      {"INFO[0000] retry failed", 0},
      {"EROR[03-02|08:00:00] ok    peer=1", 2},  // log15
      {"CRIT [03-02|08:00:00.123] ok", 3},
      {"DBUG[03-02|08:00:00] failed", 0},
      {"t=2026-03-02T08:00:00+0000 lvl=eror msg=ok", 2},
      {"[08:00:00 ERR] ok", 2},  // Serilog
      {"[08:00:00 WRN] it failed", 1},
      {"2026-03-02 08:00:00.123 +00:00 [INF] it failed before", 0},
      {"[08:00:00 FTL] ok", 3},
      {"8:00AM ERR ok error=\"x\"", 2},  // zerolog
      {"8:00AM INF last run failed", 0},
      {"fail: Api.Startup[0]", 2},  // .NET
      {"dbug: Api.Startup[0]", 0},
      {"2026-03-02 08:00:00 [error    ] ok          user=1", 2},  // structlog
      {"2026-03-02 08:00:00 [info     ] run failed before", 0},
      {"2026-03-02 08:00:00.123 | WARNING  | a:b:12 - it failed", 1},              // loguru
      {"[Mon Mar 02 08:00:00.123456 2026] [core:error] [pid 12] AH00126: ok", 2},  // Apache
      {"02.03.2026 08:00:00 FEHLER Ger\xC3\xA4t 7 antwortet nicht", 2},
      {"02.03.2026 08:00:00 WARNUNG Platz wird knapp", 1},
      {"2026-03-02 08:00:00 ERREUR disque absent", 2},
      {"2026-03-02 08:00:00 INFO der Fehler von gestern ist behoben", 0},
      {"[Mon Mar 02 08:00:00.123456 2026] [mpm_event:notice] [pid 12] last run failed", 0},
      {"2026/03/02 08:00:00 [warn] 12#12: *3 upstream failed", 1},                       // nginx
      {"2026-03-02T08:00:00.1Z 0 [Note] [MY-010747] [Server] plugin failed before", 0},  // MySQL
      {"2026-03-02 08:00:00.123 UTC [12] LOG:  could not fail", 0},                      // PostgreSQL
      {"2026-03-02 08:00:00.123 UTC [12] STATEMENT:  SELECT failed FROM errors", 0},
      {"2026-03-02 08:00:00.123 UTC [12] FATAL:  ok", 3},
      {"2026-03-02 08:00:00, Error                 CBS    ok", 2},  // Windows
      {"Error,3/2/2026 8:00:00 AM,Service Control Manager,7000,None,ok", 2},
      {"Information,3/2/2026 8:00:00 AM,Service Control Manager,7036,None,it failed before", 0},
      {"E, [2026-03-02T08:00:00.123456 #1234] ERROR -- : ok", 2},  // Ruby
      {"Mar  2 08:00:00 mx postfix/smtpd[12]: warning: lookup failed", 1},
      {"Mar  2 08:00:00 mx dovecot: imap-login: Warning: it failed", 1},
      {"main.c:12:3: warning: comparison failed", 1},
      {"--- FAIL: TestPool (0.01s)", 2},  // go test
      {"2026-03-02T08:00:00Z warning something failed", 1},
      {"2026-03-02 08:00:00 - error - ok", 2},
  });
}

TEST(Variants, LevelsAsFieldsOfText) {
  expect_severities({
      {"2026-03-02 08:00:00 ERROR disk=7 level=info", 2},  // what comes before the fields counts more
      {R"(ts=1 msg="said \" level=error \" again" level=info)", 0},
      {"level=info request failed", 0},
      {"2026-03-02T08:00:00Z level=error ok", 2},
      {"[level=warn] it failed", 1},
      {"severity: 3, message: ok", 2},
      {"[severity: 3] ok", 2},
      {"time: 08:00:00, level: error, message: ok", 2},
      {"2026-03-02 08:00:00 level: info it failed", 0},
      {R"(app: a text of some length {"a":1, "level":50, "msg":"cut)", 2},
      {"time=08:00, level=error, msg=ok", 2},
      {"a=1,level=error,b=2", 2},
      {"ts=1 msg='the level=fatal one' level=info", 0},
      {"ts=1 msg=\"it was an ERROR in x\" level=info", 0},
      {"ts=1 level=ERROR+2 msg=ok", 2},
      {"severity=3 msg=ok", 2},
      {"ts=1 level=50 msg=ok", 2},
      {"0 ERROR disk gone", 2},
  });
  expect_severities({{"started with --log-level=error --port=80", 0},
                     {"started with --log-level error", 0},
                     {"battery level: 3 of 10", 0},
                     {"set level: 3", 0},
                     {"PASSED: 10  FAILED: 0", 0},
                     {"SMART health: NO ERROR", 0},
                     {"0 ERROR, 0 FATAL", 0},
                     {"compression=gzip level=3", 0}},
                    false);
}

TEST(Variants, CountsOfZeroAndNames) {
  expect_severities({{"0 tests failed", 0},
                     {"0 of 12 jobs have failed", 0},
                     {"12 passed, 0 failed", 0},
                     {"0/12 failed", 0},
                     {"0% packets lost", 0},
                     {"errors: 0.00%", 0},
                     {"failed requests: 0", 0},
                     {"returned error code 0", 0},
                     {"errors: []", 0},
                     {"isn't an error", 0},
                     {"this is not considered fatal", 0},
                     {"checking filesystem for errors", 0},
                     {"will retry on failure", 0},
                     {"MyApp::Error::Base loaded", 0},
                     {"failure detector started", 0},
                     {"errors=0 warnings=0 failures=0", 0},
                     {"loading error_handler.py with --no-error", 0},
                     {"no failures", 0},
                     // and what is a problem all the same
                     {"disk 0 failed", 2},
                     {"worker 0 crashed", 2},
                     {"0 errors on node 3, node 4 failed", 2},
                     {"file not found error", 2},
                     {"3 of 12 jobs have failed", 2},
                     {"10% packets lost", 2},
                     {"returned error code 5", 2},
                     {"failed requests: 7", 2},
                     {"command exited 1: build failed", 2},
                     {"took 0 ms then failed", 2},
                     {"git push --force failed", 2}},
                    false);
}

TEST(Variants, JournaldFields) {
  const auto text = [](const std::string& line) { return carried_text(line).text; };
  EXPECT_EQ(text(R"({"PRIORITY":"6","SYSLOG_IDENTIFIER":"app","_PID":"12","MESSAGE":"ok"})"), "app[12]: ok");
  EXPECT_EQ(text(R"({"MESSAGE":[69,82,82,79,82,32,27,91,49,109,120],"__CURSOR":"a","_COMM":"app"})"),
            "app: ERROR x")
      << "what is not plain text is bytes";
  EXPECT_EQ(text(R"({"MESSAGE":["one","two"],"__CURSOR":"a"})"), "one");
  EXPECT_EQ(text(R"({"MESSAGE":"ok","service":"a"})"), R"({"MESSAGE":"ok","service":"a"})");
  EXPECT_EQ(carried_text(R"({"__REALTIME_TIMESTAMP":"1772438400000000","MESSAGE":"ok"})").time,
            "1772438400000000");
  expect_severities(
      {{R"({"PRIORITY":"6","_TRANSPORT":"stdout","MESSAGE":"level=error msg=ok"})", 2},
       {R"({"PRIORITY":"6","_TRANSPORT":"syslog","MESSAGE":"it failed"})", 0},
       {R"({"PRIORITY":"6","_TRANSPORT":"stdout","MESSAGE":"{\"level\":50,\"msg\":\"ok\"}"})", 2},
       {R"({"PRIORITY":["3","6"],"MESSAGE":"ok"})", 2}});
  expect_severities({{R"({"PRIORITY":"6","_TRANSPORT":"stdout","MESSAGE":"it failed"})", 2}}, false);
}

TEST(Variants, SyslogWithStructuredData) {
  const std::string header = "1 2026-03-02T08:00:00.003Z host app 8710 ID47 ";
  const auto carried = carried_text("<14>" + header +
                                    "[a@1 iut=\"3\" x=\"y ] z\"][b c=\"\\\"d\"] \xEF\xBB\xBF"
                                    "Traceback (most recent call last):");
  EXPECT_EQ(records::after_header(carried.text), "Traceback (most recent call last):");
  EXPECT_EQ(records::after_header("1 2026-03-02T08:00:00Z host app - - - text"), "text");
  EXPECT_EQ(records::after_header("1 2026-03-02T08:00:00Z"), "");
  expect_severities({{"<14>" + header +
                          "[a@1 iut=\"3\"] \xEF\xBB\xBF"
                          "ERROR it is so",
                      2},
                     {"<11>" + header + "[a@1 iut=\"3\" eventSource=\"x\"] it is so", 2},
                     {"<14>" + header + "- it failed", 0}});
}

TEST(Variants, OnlyDockersObjectsAreDockers) {
  EXPECT_EQ(carried_text(R"({"log":"half","stream":"stderr","kubernetes":{"pod":"a"}})").continues, false);
  EXPECT_EQ(carried_text(R"({"stream":"stderr","log":"half","time":"x"})").continues, true);
  EXPECT_EQ(carried_text(R"({"log": "a\n", "stream": "stdout", "time": "x"})").text, "a");
  EXPECT_EQ(carried_text(R"({"log":"a\n","stream":"stdout","attrs":{"tag":"x"},"time":"y"})").text, "a");
}

TEST(Variants, PartsOfTwoStreams) {
  const std::string time = "2026-03-02T08:00:00Z ";
  const auto joined = carried_record(time + "stdout P one \n" + time + "stderr F ERROR x\n" + time +
                                     "stdout P two \n" + time + "stdout F three");
  EXPECT_EQ(joined.text, "one two three");
  EXPECT_EQ(carried_record(time + "stdout P one \n" + time + "stderr F ERROR x").text, "ERROR x");
  EXPECT_EQ(carried_record(time + "stdout F one\n" + time + "stdout F two").text, "two");
}

TEST(Variants, EscapeSequences) {
  EXPECT_EQ(terminal_text("pulling 10%\x1b[2K\x1b[1GERROR: checksum"), "ERROR: checksum");
  EXPECT_EQ(terminal_text("pulling 10%\x1b[1KERROR: checksum"), "ERROR: checksum");
  EXPECT_EQ(terminal_text("stays\x1b[K \x1b[0Khere\x1b[12G too"), "stays here too");
  EXPECT_EQ(terminal_text(
                "\x1b]8;;https://x.example/a;b\x1b\\link\x1b]8;;\x1b\\ \x1b]8;;http://y\x07two\x1b]8;;\x07"),
            "link two");
  EXPECT_EQ(terminal_text("\x1b]0;a title without an end\x1b[31mERROR"), "ERROR");
  EXPECT_EQ(terminal_text("\x1b[38:2::255:0:0mred\x1b[0m \x1b[?25lhidden cursor\x1b[?25h"),
            "red hidden cursor");
  expect_severities({{"#033[31mERROR#033[0m ok", 2},  // rsyslog
                     {"^[[33mWARN^[[0m it failed", 1},
                     {"08:00:00 [31mERROR[0m ok", 2},
                     {"\\u001b[32mINFO\\u001b[39m it failed before", 0}});
  EXPECT_EQ(carried_text("rate(errors[5m]) is 3").text, "rate(errors[5m]) is 3");
}

TEST(Variants, ByteOrderMarksInTheMiddle) {
  EXPECT_EQ(carried_text("a\xEF\xBB\xBF"
                         "b")
                .text,
            "ab");
  expect_severities(
      {{"\xEF\xBB\xBF\xEF\xBB\xBF"
        "ERROR ok",
        2}});
}

TEST(Variants, Times) {
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"1772438400123 ok", "1772438400123"},
      {"[1772438400123456] ok", "1772438400123456"},
      {"1772438400123456789 ok", "1772438400123456789"},
      {"type=AVC msg=audit(1772438400.123:456): ok", "1772438400.123"},
      {"user 9876543210123 logged in", ""},
      {"[   12.345678] usb 1-1: ok", "[   12.345678]"},
      {"[12345.678901] ok", "[12345.678901]"},
      {"[12.3] ok", ""},
      {"3/2/2026 8:00:01 PM ok", "8:00:01 PM"},
      {"Mar 02, 2026 8:00:01 AM a.B c", "8:00:01 AM"},
      {"03/02/2026 08:00:01 PM ok", "08:00:01 PM"},
      {"took 0:00:03 in all", ""},
      {R"({"time":35,"timestamp":"2026-03-02T08:00:00Z"})", "2026-03-02T08:00:00Z"},
      {R"({"asctime":"2026-03-02 08:00:00,123","levelname":"INFO"})", "2026-03-02 08:00:00,123"},
      {R"({"ts":1.7724384e+09,"level":"info"})", "1.7724384e+09"},
      {R"({"Timestamp":"2026-03-02T08:00:00Z"})", "2026-03-02T08:00:00Z"},
      {R"({"ts":1772438400000.123,"v":0})", "1772438400000.123"},
      {"2026-03-02T08:00:00,123+0100 ok", "2026-03-02T08:00:00,123+0100"},
  };
  for (const auto& [line, time] : lines) {
    EXPECT_EQ(records::record_time(line), time) << line;
    EXPECT_EQ(records::seconds_of(records::record_time(line)).has_value(), !time.empty()) << line;
  }
  EXPECT_EQ(records::seconds_of("8:00:01 PM"), 20 * 3600 + 1.0);
  EXPECT_EQ(records::seconds_of("12:00:01 AM"), 1.0);
  EXPECT_EQ(records::seconds_of("[   12.500000]"), 12.5);
  EXPECT_EQ(records::seconds_of("1.7724384e+09"), 1772438400.0);
  const records::TimeFormat format("%d|%m|%Y %H:%M:%S");
  EXPECT_EQ(format.text("job <02|03|2026 08:00:01,25> done"), "02|03|2026 08:00:01,25");
  EXPECT_EQ(format.text("job done"), "");
}

const std::vector<Trace> kTraces = {
    {"Node: what the error has",
     ".tfffffff.",
     {"08:00:00 error: query", "RangeError: connect", "    at TCP.after [as done] (node:net:1595:16) {",
      "  errno: -111,", "  code: 'ECONNREFUSED',", "  cause: [Object]", "}", "", "Node.js v20.1.0",
      "08:00:01 info: on"}},
    {"Node: the place in the source first",
     ".ffftff.",
     {"/srv/app.js:12", "    throw new Error('x');", "    ^", "", "Error: x",
      "    at Object.<anonymous> (/srv/app.js:12:9)", "    at /srv/b.js:3:4 {", "listening"}},
    {"Java: a message of several lines",
     ".tfff.",
     {"08:00:00 ERROR a.B - no", "java.lang.IllegalStateException: one", "  two", "\tat a.B.c(B.java:1)",
      "    [CIRCULAR REFERENCE: java.lang.X]", "08:00:01 INFO a.B - on"}},
    {"Java: a cause alone",
     ".tf.",
     {"08:00:00 ERROR a.B - no", "Caused by: a.b.NotFound: x", "\tat a.B.c(B.java:1)", "08:00:01 INFO on"}},
    {"Python: a group",
     ".ffffffffff.",
     {"ERROR:root:x",
      "  + Exception Group Traceback (most recent call last):", "  |   File \"a.py\", line 1, in <module>",
      "  | ExceptionGroup: x (2 sub-exceptions)", "  +-+---------------- 1 ----------------",
      "    | Traceback (most recent call last):", "    |   File \"a.py\", line 1", "    | ValueError: 1",
      "    +---------------- 2 ----------------", "    | TypeError: 2",
      "    +------------------------------------", "INFO: on"}},
    {"Python: more of the message, a local class",
     ".fftff.",
     {"ERROR:root:x", "Traceback (most recent call last):", "  File \"a.py\", line 1, in f",
      "__main__.f.<locals>.Lost: could not connect", "\tIs the server running?", "", "INFO:root:on"}},
    {"Python: a trace that is cut off",
     ".ff.",
     {"ERROR:root:x", "Traceback (most recent call last):", "  File \"a.py\", line 1, in f", "INFO: on"}},
    {"Python: a wrong syntax",
     ".ffft",
     {"ERROR:root:x", "  File \"a.py\", line 3", "    x =", "      ^", "SyntaxError: invalid syntax"}},
    {"Go: zap's stack",
     ".tfff.",
     {"2026-03-02T08:00:00Z\tERROR\tctl/a.go:1\tno", "github.com/a/b.(*Server).Run", "\t/src/b.go:12",
      "main.main", "\t/src/main.go:3", "2026-03-02T08:00:01Z\tINFO\tctl/a.go:2\ton"}},
    {"Go: many frames",
     ".ffff.",
     {"panic: x", "", "goroutine 1 gp=0xc0 m=0 mp=0x1 [running]:", "main.f(...)",
      "...additional frames elided...", "on"}},
    {"Rust: assert_eq!",
     ".tfff.",
     {"thread 'main' (4822) panicked at src/main.rs:4:5:", "assertion `left == right` failed: x", "  left: 1",
      " right: 2", "note: run with `RUST_BACKTRACE=1`", "on"}},
    {"Rust: anyhow",
     ".ftff.",
     {"Error: failed to read the configuration", "", "Caused by:", "    0: no such file", "    1: os error 2",
      "started"}},
    {".NET: the console's logger",
     ".ttff.",
     {"fail: Api.Startup[0]", "      An unhandled exception was thrown.",
      "      System.InvalidOperationException: no", "         at Api.Run() in /src/a.cs:line 3",
      "         --- End of stack trace from previous location ---", "info: Api.Startup[0]"}},
    {"Ruby",
     ".ff.",
     {"app.rb:12:in `run': undefined method `x' (NoMethodError)", "\tfrom app.rb:20:in `block in <main>'",
      "\tfrom app.rb:19:in 'Array#each'", "on"}},
    {"Ruby: Rails",
     ".fff.",
     {"FATAL -- : NoMethodError (undefined method `x'):", "", "app/models/a.rb:12:in `x'",
      "app/controllers/b.rb:3:in 'index'", "INFO -- : on"}},
    {"PHP",
     ".tfff.",
     {"PHP Fatal error:  Uncaught Exception: x in /srv/a.php:3", "Stack trace:", "#0 /srv/a.php(5): run()",
      "#1 {main}", "  thrown in /srv/a.php on line 3", "on"}},
    {"after a container's name",
     ".fft.",
     {"web-1  | ERROR it broke", "web-1  | Traceback (most recent call last):",
      "web-1  |   File \"a.py\", line 1, in f", "web-1  | ValueError: x", "web-1  | INFO on"}},
    {"after a time that a collector wrote",
     ".tff.",
     {"2026-03-02T08:00:00.1234567Z ERROR it broke", "2026-03-02T08:00:00.1234567Z java.io.IOException: x",
      "2026-03-02T08:00:00.1234567Z \tat a.B.c(B.java:12)",
      "2026-03-02T08:00:00.1234567Z     at a.D(E.java:1)", "2026-03-02T08:00:01.1234567Z INFO on"}},
    {"more text",
     ".ttt.",
     {"08:00:00 ERROR request", "    err: {", "      \"type\": \"Lost\"", "  two blanks",
      "08:00:01     ERROR next"}},
    {"lines that look alike",
     "........",
     {"08:00:00 ERROR a", "#12 0.345 next step of a build", "10.0.0.1/index.html", "main.c", "usr/lib/a.so",
      "08:00:01 INFO b", "    indented, after no problem", "}"}},
};

TEST(Variants, Traces) {
  expect_places(kTraces);
}

}  // namespace
}  // namespace unroll::testing
