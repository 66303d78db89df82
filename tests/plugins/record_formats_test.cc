// Three inputs of each format that the reader of records knows, as their programs write them (invented text),
// and what is right: the text, the level, the time. Two inputs of each level and one without a problem, so
// that a constant answer fails.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plugins/builtin/records/record.h"
#include "plugins/builtin/records/terminal_text.h"
#include "plugins/builtin/records/times.h"
#include "tests/plugins/trace_places.h"

namespace unroll::testing {
namespace {

struct Format {
  std::string name, line;
  std::string text;  // what the program wrote; "=": the line
  int severity;
  std::string time;  // as written
};

const std::vector<Format> kFormats = {
    {"ansi", "\x1b[2m2026-03-02T08:00:00Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[1mpool\x1b[0m: no route",
     "2026-03-02T08:00:00Z ERROR pool: no route", 2, "2026-03-02T08:00:00Z"},
    {"ansi", "\x1b[38;2;255;200;0m[warn]\x1b[39m retry 3 of 5\x1b[K", "[warn] retry 3 of 5", 1, ""},
    {"ansi", "08:00:01 \x1b[32;1mINFO\x1b[m last run had \x1b[31merrors\x1b[0m, this one not",
     "08:00:01 INFO last run had errors, this one not", 0, "08:00:01"},
    {"carriage return", "fetch  10%\rfetch  55%\rFATAL: fetch broke off at 55%",
     "FATAL: fetch broke off at 55%", 3, ""},
    {"carriage return", "error: first try\r\x1b[2Kdone in 3 s\r", "done in 3 s", 0, ""},
    {"carriage return", "[=>   ] 20%\r[===> ] 60%\rwarning: 3 files skipped\r", "warning: 3 files skipped", 1,
     ""},
    {"byte order mark",
     "\xEF\xBB\xBF"
     "2026-03-02 08:00:00,123 ERROR setup: x",
     "2026-03-02 08:00:00,123 ERROR setup: x", 2, "2026-03-02 08:00:00,123"},
    {"byte order mark", "\xEF\xBB\xBF{\"level\":\"warn\",\"msg\":\"x\"}",
     "{\"level\":\"warn\",\"msg\":\"x\"}", 1, ""},
    {"byte order mark", "\xEF\xBB\xBFsetup began", "setup began", 0, ""},
    {"cri", "2026-03-02T08:00:00.000000001Z stderr F panic: runtime error: index out of range",
     "panic: runtime error: index out of range", 3, "2026-03-02T08:00:00.000000001Z"},
    {"cri", "2026-03-02T09:00:00.5+01:00 stdout F W0302 08:00:00.500000       1 a.go:7] slow",
     "W0302 08:00:00.500000       1 a.go:7] slow", 1, "2026-03-02T09:00:00.5+01:00"},
    {"cri", "2026-03-02T08:00:00Z stderr F {\"level\":\"info\",\"msg\":\"error page served\"}",
     "{\"level\":\"info\",\"msg\":\"error page served\"}", 0, "2026-03-02T08:00:00Z"},
    {"docker",
     R"({"log":"ERROR 1045 (28000): access denied\n","stream":"stderr","time":"2026-03-02T08:00:00.1Z"})",
     "ERROR 1045 (28000): access denied", 2, "2026-03-02T08:00:00.1Z"},
    {"docker", R"({"log":"\u001b[33mWARN\u001b[0m low\r\n","stream":"stdout","time":"2026-03-02T08:00:01Z"})",
     "WARN low", 1, "2026-03-02T08:00:01Z"},
    {"docker",
     R"({"log":"{\"level\":30,\"msg\":\"failed before\"}\n","stream":"stdout","time":"2026-03-02T08:00:02Z"})",
     R"({"level":30,"msg":"failed before"})", 0, "2026-03-02T08:00:02Z"},
    {"klog", "E0302 08:07:42.569000   14120 kubelet.go:2183] \"Container runtime network not ready\"", "=", 2,
     "0302 08:07:42.569000"},
    {"klog", "F1231 23:59:59.000001       1 server.go:1] listen", "=", 3, "1231 23:59:59.000001"},
    {"klog", "I0302 08:07:42.569000       1 reflector.go:1] \"Failed pods\" count=0 err=<nil>", "=", 0,
     "0302 08:07:42.569000"},
    {"syslog", "<3>kernel: Out of memory: Killed process 812", "kernel: Out of memory: Killed process 812", 2,
     ""},
    {"syslog", "<165>1 2026-03-02T08:00:00.003Z host app 8710 ID47 - ready",
     "1 2026-03-02T08:00:00.003Z host app 8710 ID47 - ready", 0, "2026-03-02T08:00:00.003Z"},
    {"syslog", "<36>Mar  2 08:00:00 gate sshd[12]: it is as it is",
     "Mar  2 08:00:00 gate sshd[12]: it is as it is", 1, "Mar  2 08:00:00"},
    {"logfmt",
     "ts=2026-03-02T08:00:00.000Z caller=head.go:1 level=error component=tsdb msg=\"compaction\" err=\"no "
     "space\"",
     "=", 2, "2026-03-02T08:00:00.000Z"},
    {"logfmt", "time=\"2026-03-02T08:00:00Z\" level=warning msg=\"error=none\"", "=", 1,
     "2026-03-02T08:00:00Z"},
    {"logfmt", "level=info ts=1772438400.5 msg=done errors=0 failed=0 err=<nil> fatal=false", "=", 0,
     "1772438400.5"},
    {"pino", R"({"level":50,"time":1772438400000,"pid":1,"hostname":"a","msg":"ok"})", "=", 2,
     "1772438400000"},
    {"pino", R"({"level":60,"time":1772438400000,"pid":1,"hostname":"a","err":{"type":"Error"},"msg":"x"})",
     "=", 3, "1772438400000"},
    {"pino", R"({"level":30,"time":1772438400000,"pid":1,"hostname":"a","msg":"request errored before"})",
     "=", 0, "1772438400000"},
    {"bunyan",
     R"({"name":"api","hostname":"h","pid":9,"level":40,"msg":"ok","time":"2026-03-02T08:00:00.000Z","v":0})",
     "=", 1, "2026-03-02T08:00:00.000Z"},
    {"bunyan",
     R"({"name":"api","hostname":"h","pid":9,"level":50,"err":{"message":"x"},"msg":"ok","time":"2026-03-02T08:00:00.000Z","v":0})",
     "=", 2, "2026-03-02T08:00:00.000Z"},
    {"bunyan",
     R"({"name":"errors","hostname":"h","pid":9,"level":20,"msg":"panic mode is off","time":"2026-03-02T08:00:00.000Z","v":0})",
     "=", 0, "2026-03-02T08:00:00.000Z"},
    {"zap",
     R"({"level":"error","ts":1772438400.123,"caller":"a/b.go:1","msg":"ok","error":"EOF","stacktrace":"a\n\tb"})",
     "=", 2, "1772438400.123"},
    {"zap", "2026-03-02T08:00:00.000Z\tWARN\ta/b.go:1\tok\t{\"n\": 1}", "=", 1, "2026-03-02T08:00:00.000Z"},
    {"zap", R"({"L":"INFO","T":"2026-03-02T08:00:00.000Z","C":"a/b.go:1","M":"0 errors"})", "=", 0,
     "2026-03-02T08:00:00.000Z"},
    {"logback", "08:00:00.123 [main] ERROR com.example.App - ok", "=", 2, "08:00:00.123"},
    {"logback", "2026-03-02 08:00:00.123  WARN 4711 --- [nio-8080-exec-1] c.e.ErrorController : ok", "=", 1,
     "2026-03-02 08:00:00.123"},
    {"logback",
     R"({"@timestamp":"2026-03-02T08:00:00.123Z","@version":"1","message":"failed jobs: 0","logger_name":"a.B","level":"INFO","level_value":20000})",
     "=", 0, "2026-03-02T08:00:00.123Z"},
    {"journald",
     R"({"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1772438400000000","PRIORITY":"2","MESSAGE":"ok","_COMM":"a"})",
     "a: ok", 3, "1772438400000000"},
    {"journald",
     R"({"PRIORITY":"4","SYSLOG_IDENTIFIER":"a","_PID":"7","MESSAGE":"ok","__REALTIME_TIMESTAMP":"1772438400000000"})",
     "a[7]: ok", 1, "1772438400000000"},
    {"journald", R"({"PRIORITY":"6","MESSAGE":"Failed units: 0","__REALTIME_TIMESTAMP":"1772438400000000"})",
     "Failed units: 0", 0, "1772438400000000"},
};

TEST(RecordFormats, TextLevelAndTime) {
  for (const Format& format : kFormats) {
    const std::string shown = records::terminal_text(format.line);
    const auto carried = records::carried_text(shown);
    const std::string what = format.name + ": " + format.line;
    EXPECT_EQ(carried.text, format.text == "=" ? format.line : format.text) << what;
    EXPECT_EQ(records::record_facts(carried.text, carried.level).severity, format.severity) << what;
    const std::string time = carried.time.empty() ? records::record_time(carried.text) : carried.time;
    EXPECT_EQ(time, format.time) << what;
    EXPECT_EQ(records::seconds_of(time).has_value(), !format.time.empty()) << what;
  }
}

const std::vector<Trace> kTraces = {
    {"java",
     ".tffftff.",
     {"2026-03-02 08:00:00,1 ERROR [main] a.B - no", "java.lang.IllegalStateException: closed",
      "\tat a.B$C.lambda$run$0(B.java:12) ~[app.jar:1.2]", "\tat a.B.<init>(B.java:3)",
      "\tat jdk.internal.reflect.GeneratedMethodAccessor1.invoke(Unknown Source)",
      "Caused by: java.net.SocketException: Connection reset",
      "\tat java.base/java.net.Socket.read(Socket.java:1)", "\t... 31 common frames omitted",
      "2026-03-02 08:00:01,1 INFO [main] a.B - on"}},
    {"java",
     ".fff.",
     {"Exception in thread \"worker-1\" java.lang.OutOfMemoryError: Java heap space",
      "\tat java.util.Arrays.copyOf(Arrays.java:3210)", "\tat a.b.c(D.java:1)", "\t... 2 more", "bye"}},
    {"java",
     ".tftf.",
     {"08:00:00.1 [x] WARN a.B - x", "kotlin.KotlinNullPointerException", "\tat a.MainKt.main(Main.kt)",
      "\tSuppressed: java.io.IOException: close", "\t\tat a.B.close(B.java:9)",
      "08:00:00.2 [x] INFO a.B - y"}},
    {"python",
     ".fffft.",
     {"2026-03-02 08:00:00,1 ERROR app Exception on /x [GET]",
      "Traceback (most recent call last):", "  File \"/srv/app.py\", line 12, in view", "    return run()",
      "           ^^^^^", "app.errors.NotReady: later", "2026-03-02 08:00:01,1 INFO app next"}},
    {"python",
     ".fftffffft.",
     {"ERROR:root:x", "Traceback (most recent call last):", "  File \"a.py\", line 1, in <module>",
      "KeyError: 'k'", "", "The above exception was the direct cause of the following exception:", "",
      "Traceback (most recent call last):", "  File \"a.py\", line 3, in <module>", "RuntimeError: no key",
      "INFO:root:y"}},
    {"python",
     ".fft.",
     {"Mar  2 08:00:00 h app[7]: ERROR it broke",
      "Mar  2 08:00:00 h app[7]: Traceback (most recent call last):",
      "Mar  2 08:00:00 h app[7]:   File \"a.py\", line 1, in f",
      "Mar  2 08:00:00 h app[7]: OSError: [Errno 28] No space", "Mar  2 08:00:01 h app[7]: next"}},
    {"go",
     ".ffffff",
     {"panic: runtime error: invalid memory address or nil pointer dereference",
      "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1]", "",
      "goroutine 1 [running]:", "main.(*Pool).get(...)", "\t/src/main.go:12 +0x1d", "exit status 2"}},
    {"go",
     ".ffff",
     {"fatal error: all goroutines are asleep - deadlock!", "", "goroutine 18 [chan receive, 3 minutes]:",
      "net/http.(*conn).serve(0xc000, {0x7f, 0x1})", "\t/usr/lib/go/src/net/http/server.go:1995 +0x8"}},
    {"go",
     ".tff.",
     {"time=\"x\" level=error msg=\"recovered\"", "panic: bad state", "goroutine 7 [running]:", "main.run()",
      "time=\"x\" level=info msg=on"}},
    {"node",
     ".fff.",
     {"TypeError: Cannot read properties of undefined (reading 'id')", "    at handler (/srv/app.js:12:3)",
      "    at async Promise.all (index 0)", "    at node:internal/main/run_main_module:28:49",
      "listening on 3000"}},
    {"node",
     ".tff.",
     {"08:00:00 error: request broke", "Uncaught Error: x", "    at new Pool (/srv/pool.js:1:1)",
      "    at Object.<anonymous> (/srv/a.js:2:2)", "08:00:01 info: on"}},
    {"node",
     ".tf",
     {"[error] unhandled", "RangeError [ERR_OUT_OF_RANGE]: x",
      "    at Module._compile (node:internal/modules/cjs/loader:1)"}},
    {"dotnet",
     ".tfff.",
     {"fail: Api.Startup[0] ERROR broke", "System.InvalidOperationException: no",
      "   at Api.Program.<Main>(String[] args) in /src/Program.cs:line 12",
      "   --- End of inner exception stack trace ---", "   at System.Threading.Tasks.Task.Wait()",
      "info: Api[0] next"}},
    {"dotnet",
     ".f.",
     {"Unhandled exception. System.IO.FileNotFoundException: Could not find file",
      "   at A.B.C(String x) in C:\\a\\b.cs:line 3", "done"}},
    {"dotnet",
     ".ttf.",
     {"2026-03-02 08:00:00 ERROR job", "System.AggregateException: One or more errors",
      " ---> System.Net.Http.HttpRequestException: refused", "   at System.Net.Http.HttpClient.Send()",
      "2026-03-02 08:00:01 INFO job"}},
    {"rust",
     ".tffff.",
     {"thread 'main' panicked at src/main.rs:4:10:", "called `Option::unwrap()` on a `None` value",
      "stack backtrace:", "   0: rust_begin_unwind",
      "             at /rustc/abc/library/std/src/panicking.rs:645:5",
      "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace", "done"}},
    {"rust",
     ".f.",
     {"thread 'worker-2' panicked at 'index out of bounds: the len is 3', src/lib.rs:9:5",
      "note: run with `RUST_BACKTRACE=full` for a verbose backtrace", "2026-03-02T08:00:00Z INFO next"}},
    {"rust",
     ".ttff.",
     {"2026-03-02T08:00:00Z ERROR app: worker gone",
      "thread 'tokio-runtime-worker' panicked at app/src/x.rs:1:1:", "no such key",
      "stack backtrace:", "   1: core::panicking::panic_fmt", "2026-03-02T08:00:00Z INFO app: on"}},
};

TEST(RecordFormats, LinesOfATraceBelongToTheirRecord) {
  expect_places(kTraces);
}

}  // namespace
}  // namespace unroll::testing
