// `unroll follow` as a user runs it: stopped, killed, restarted; its total output equals that of one reading
// of the whole text.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/follow/file_generations.h"
#include "tests/client/follow_end_to_end.h"

namespace unroll::test {
namespace {

TEST_F(Follow, StoppedKilledAndRotatedIsAsOneReading) {
  const std::string log = file("a.log").string();
  const auto command = embedded_command({log, "--format", "ndjson"});
  append(log, log_of(1, 200));
  follow(command, 100, SIGTERM);
  EXPECT_EQ(read_file(file("log")), "");
  append(log, log_of(201, 100));
  fs::rename(log, log + ".1");
  append(log, log_of(301, 100));
  follow(command, 250, SIGKILL, 128 + SIGKILL);
  fs::rename(log + ".1", log + ".2");
  fs::rename(log, log + ".1");
  append(log, log_of(401, 200));
  follow(command, 500, SIGINT);
  expect_as_one_reading(log_of(1, 600), log);
}

TEST_F(Follow, AlertRateShowsTheAlertsAlone) {
  const std::string log = file("a.log").string();
  append(log, log_of(41, 400) + "Segfault!! %%%% @@ zqx\n" + log_of(441, 200));
  follow(embedded_command({log, "--alert-rate", "2"}), 1, SIGTERM);
  EXPECT_THAT(out(), HasSubstr("       401  "));
  EXPECT_THAT(out(), HasSubstr("Segfault!! %%%% @@ zqx\n"));
  EXPECT_LE(lines(), 10);
}

TEST_F(Follow, DaemonRemembersTheDocument) {
  const std::string log = file("a.log").string();
  const auto command = daemon_command({log, "--format", "ndjson"});
  append(log, log_of(1, 200));
  follow(command, 100, SIGKILL, 128 + SIGKILL);
  append(log, log_of(201, 200));
  follow(command, 300, SIGTERM);
  expect_as_one_reading(log_of(1, 400), log);
}

/// Of the log before only what it has taught is needed, and only for the first run.
TEST_F(Follow, BeginsAfterAnotherLog) {
  const std::string before = file("before.log").string(), log = file("a.log").string();
  const std::string cache = "XDG_CACHE_HOME=" + file("cache").string();
  const std::string text = log_of(151, 300);
  write_file(file("whole"), text);
  for (const bool by_daemon : {false, true}) {
    SCOPED_TRACE(by_daemon);
    for (const auto* name : {"out", "a.log"}) fs::remove(file(name));
    for (const auto* name : {"state", "cache"}) fs::remove_all(file(name));
    write_file(before, log_of(1, 150));
    std::vector<json> expected = lines_of(
        read_embedded({"run", "--plugin", R"(anomaly:{"top":0})", "--after", before, file("whole").string()},
                      {"", {{"XDG_CACHE_HOME", file("cache").string()}}}));
    const std::vector<std::string> arguments = {log, "--after", before, "--format", "ndjson"};
    auto command = by_daemon ? daemon_command(arguments) : embedded_command(arguments);
    command.insert(command.begin() + 4, {"/usr/bin/env", cache});
    append(log, text.substr(0, text.size() / 2));
    follow(command, 80, SIGKILL, 128 + SIGKILL);
    fs::remove(before);
    append(log, text.substr(text.size() / 2));
    follow(command, 250, SIGTERM);
    const auto printed = lines_of(out());
    ASSERT_LE(printed.size(), expected.size());
    for (std::size_t i = 0; i < printed.size(); ++i) {
      expected[i]["file"] = log;
      ASSERT_EQ(printed[i], expected[i]) << "output " << i;
    }
  }
  EXPECT_NE(read_embedded({"run", "--plugin", R"(anomaly:{"top":0})", file("whole").string()}),
            read_file(file("out")));
}

TEST_F(Follow, LinesThatWereNotRecordedArePrintedOnceIntoAFile) {
  const std::string log = file("a.log").string();
  const auto command = embedded_command({log, "--format", "ndjson"});
  append(log, log_of(1, 200));
  follow(command, 100, SIGTERM);
  // As if the process had been killed after its last write to the file and before it recorded that.
  const fs::path file_of_state = state_file("");
  json state = json::parse(read_file(file_of_state));
  const std::string text = out();
  state["next_output"] = 10;
  std::size_t size = 0;
  for (int i = 0; i < 10; ++i) size = text.find('\n', size) + 1;
  state["printed"]["size"] = size;
  write_file(file_of_state, state.dump());
  fs::resize_file(file("out"), fs::file_size(file("out")) - 5);  // cut within a line
  append(log, log_of(201, 200));
  follow(command, 300, SIGTERM);
  expect_as_one_reading(log_of(1, 400), log);
}

TEST_F(Follow, TextShowsOddLines) {
  const std::string log = file("a.log").string();
  append(log, log_of(1, 200));
  follow(embedded_command({log, "--threshold", "-1000"}), 100, SIGTERM);
  EXPECT_THAT(out(), HasSubstr("  Segfault!! %%%% @@ zqx\n"));
  EXPECT_THAT(out(), HasSubstr("        40  "));
  EXPECT_THAT(read_file(file("log")), testing::Not(HasSubstr("Segfault")));
}

TEST_F(Follow, UnknownDocumentBeginsAnewWhereItStood) {
  const std::string log = file("a.log").string();
  append(log, log_of(1, 200));
  follow(embedded_command({log, "--format", "ndjson"}), 100, SIGTERM);
  fs::remove_all(state_file(".journal"));
  append(log, log_of(201, 300));
  const auto before = lines();
  follow(embedded_command({log, "--format", "ndjson"}), before + 100, SIGTERM);
  EXPECT_THAT(read_file(file("log")), HasSubstr("a new one begins at the same position"));
  EXPECT_EQ(lines_of(out())[static_cast<std::size_t>(before)]["data"]["line"], 1);
}

TEST_F(Follow, GoesOnWhereAnEarlierVersionStood) {
  const std::string log = file("a.log").string();
  const auto command = embedded_command({log, "--format", "ndjson"});
  append(log, log_of(1, 200));
  follow(command, 100, SIGTERM);
  // Version 0.9 kept no text, but which byte of the document was at which place.
  fs::remove(state_file(".text"));
  json state = json::parse(read_file(state_file("")));
  state["pieces"] = json::array({{{"document", 0}, {"file", generation_at(log)->identity}, {"offset", 0}}});
  write_file(state_file(""), state.dump());
  append(log, log_of(201, 300));
  follow(command, lines() + 100, SIGTERM);
  EXPECT_THAT(read_file(file("log")), HasSubstr("followed by an earlier version"));
  expect_as_one_reading(log_of(1, 500).substr(state["bytes"].get<std::size_t>()), log,
                        before_second_document());
}

TEST_F(Follow, AfterAPowerCutANewDocumentBegins) {
  const std::string log = file("a.log").string();
  const auto command = embedded_command({log, "--format", "ndjson"});
  append(log, log_of(1, 200));
  follow(command, 100, SIGTERM);
  // The engine's commits reached the disk; what was kept of the log did not; and the log was removed.
  fs::resize_file(state_file(".text"), fs::file_size(state_file(".text")) - 5);
  fs::remove(log);
  append(log, log_of(30, 300));
  follow(command, lines() + 100, SIGTERM);
  EXPECT_THAT(read_file(file("log")), HasSubstr("a new one begins"));
  expect_as_one_reading(log_of(30, 300), log, before_second_document());
}

TEST_F(Follow, OtherBytesThanThoseReadBeforeBeginANewDocument) {
  const std::string log = file("a.log").string();
  const auto command = embedded_command({log, "--format", "ndjson", "--quiet-ms", "50"});
  append(log, log_of(1, 20));
  follow(command, 20, SIGTERM);
  fs::resize_file(state_file(".text"), fs::file_size(state_file(".text")) - 5);
  // The same file, of the same length, but with more tokens than were read of it.
  std::string other = log_of(1, 20);
  for (std::size_t i = 300; i < other.size(); ++i) other[i] = "#%@!&"[i % 5];
  other += log_of(21, 300);
  std::ofstream(log, std::ios::binary | std::ios::in) << other << std::flush;
  follow(command, lines() + 100, SIGTERM);
  EXPECT_THAT(read_file(file("log")), HasSubstr("a new one begins"));
  expect_as_one_reading(other, log, before_second_document());
}

TEST_F(Follow, QuietLineIsScored) {
  const std::string log = file("a.log").string();
  append(log, "one line, and nothing behind it\n");
  follow(embedded_command({log, "--format", "ndjson", "--quiet-ms", "50"}), 1, SIGTERM);
  EXPECT_EQ(lines_of(out()).front()["data"]["line"], 1);
}

TEST_F(Follow, SameFileIsNotFollowedTwice) {
  const std::string log = file("a.log").string();
  append(log, log_of(1, 200));
  Process first(embedded_command({log}), file("log"));
  // The process that reads makes it after it took the lock; `unroll` itself may be replaced by unroll-local
  // before.
  const auto reads = [&] {
    if (!fs::exists(file("state"))) return false;
    const fs::directory_iterator files(file("state"));
    return std::any_of(begin(files), end(files),
                       [](const auto& entry) { return entry.path().extension() == ".journal"; });
  };
  ASSERT_TRUE(eventually(reads));
  const Finished second = embedded({"follow", log, "--state", file("state").string()});
  expect_failure(second, "is already followed by another process", "--state");
  first.stop(SIGTERM);
}

TEST_F(Follow, CommandLineErrors) {
  expect_failure(unroll({"follow"}), "name what to follow", "--journal UNIT", 2);
  expect_failure(unroll({"follow", "-"}), "standard input", "unroll run", 2);
  expect_failure(unroll({"follow", "a", "--plugin", "score"}), "--format text", "--format ndjson", 2);
}

/// The journal's export format, from which systemd-journal-remote makes a journal.
std::string entries(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    const std::string number = std::to_string(i);
    text += "__REALTIME_TIMESTAMP=" + std::to_string(1'700'000'000'000'000 + i * 1000) +
            "\n__MONOTONIC_TIMESTAMP=" + std::to_string(1000 + i * 1000) +
            "\n_BOOT_ID=11111111111111111111111111111111\n_SYSTEMD_UNIT=" + (i % 2 == 0 ? "even" : "odd") +
            ".service\nSYSLOG_IDENTIFIER=app\n_PID=" + std::to_string(500 + i / 200) +
            "\nMESSAGE=install package-" + number + " ok\n\n";
  }
  return text;
}

std::string even_lines(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    if (i % 2 == 0)
      text += "app[" + std::to_string(500 + i / 200) + "]: install package-" + std::to_string(i) + " ok\n";
  }
  return text;
}

TEST_F(Follow, JournalGoesOnAtItsCursor) {
  const std::string remote = "/lib/systemd/systemd-journal-remote";
  if (!fs::exists(remote)) GTEST_SKIP() << "package systemd-journal-remote is not installed";
  const auto journal = [&](const std::string& name, int first, int count) {
    const Finished made =
        run({remote, "-o", file("journal/" + name).string(), "-"}, {entries(first, count), {}});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  };
  fs::create_directory(file("journal"));
  journal("a.journal", 0, 400);
  const auto command =
      embedded_command({"--journal", "even", "--journal-directory", file("journal"), "--format", "ndjson"});
  follow(command, 100, SIGTERM);
  journal("b.journal", 400, 400);
  follow(command, 300, SIGKILL, 128 + SIGKILL);
  journal("c.journal", 800, 400);
  follow(command, 500, SIGTERM);
  expect_as_one_reading(even_lines(0, 1200), "journal of even");
}

}  // namespace
}  // namespace unroll::test
