// A full disk: documents wait, new ones are refused with a clear error, and everything continues when there
// is room, in the same daemon.
#include <fstream>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

/// The journal is on a small file system in the daemon's own mount namespace; no other process sees it.
class FullDisk : public DaemonCase {
 protected:
  /// The daemon's root gives the test access to what only the daemon has mounted.
  static std::filesystem::path filler(const json& pid) {
    return "/proc/" + pid.dump() + "/root" + (*folder_ / "disk" / "filler").string();
  }
  /// False if it cannot be written.
  static bool fill(const json& pid) {
    std::ofstream file(filler(pid), std::ios::binary);
    if (!file) return false;
    file << std::unitbuf;  // each piece until one does not fit
    const std::string piece(4096, 'x');
    while (file << piece) {
    }
    return true;
  }
};

TEST_F(FullDisk, DocumentsWaitUntilThereIsRoomAgain) {
  const auto text = some_text(800);
  const auto expected = read_text(text).outputs;
  process().stop(SIGTERM);
  std::filesystem::create_directory(*folder_ / "disk");
  write_file(*folder_ / "tiny.json", R"({"journal": {"commit_blocks": 1}})");
  const std::string disk = (*folder_ / "disk").string();
  Process daemon({"/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-c",
                  "mount -t tmpfs -o size=8m none \"$0\" && exec \"$@\"", disk, program("unrolld").string(),
                  "--config", (*folder_ / "tiny.json").string(), "--socket", (*folder_ / "tiny").string(),
                  "--model", (*folder_ / "model").string(), "--journal", disk + "/journal"},
                 *folder_ / "tiny.log");
  std::optional<Peer> peer;
  while (!peer && daemon.running()) {
    try {
      peer.emplace((*folder_ / "tiny").string());
    } catch (const std::runtime_error&) {
      ::poll(nullptr, 0, 20);  // between two tries to connect
    }
  }
  if (!peer) GTEST_SKIP() << "no file system may be mounted here: " << read_file(*folder_ / "tiny.log");
  const auto pid = peer->call("server.info", json::object())["result"]["pid"];

  json request{{"plugins", scored()}, {"stream", true}};
  const auto id = peer->call("document.open", request)["result"]["document"];
  const auto half = text.substr(0, text.find('\n', text.size() / 2) + 1);
  peer->call("document.append", {{"document", id}, {"text", half}});
  while (peer->notification()["method"] != "document.output") {
  }
  if (!fill(pid)) GTEST_SKIP() << "the daemon's file system cannot be reached";
  peer->call("document.append", {{"document", id}, {"text", text.substr(half.size())}});
  // The remaining space may hold a few more entries.
  Peer other((*folder_ / "tiny").string());
  json refused;
  for (int tries = 0; tries < 2000 && refused.is_null(); ++tries) {
    refused = other.call("document.open", request).value("error", json());
  }
  ASSERT_FALSE(refused.is_null());
  EXPECT_EQ(refused["data"]["name"], "journal");
  EXPECT_THAT(refused["message"].get<std::string>(),
              testing::AllOf(testing::HasSubstr(disk + "/journal"), testing::HasSubstr("disk is full")));
  EXPECT_EQ(peer->call("document.status", {{"document", id}})["result"]["phase"], "open");
  EXPECT_THAT(read_file(*folder_ / "tiny.log"), testing::HasSubstr("disk is full"));
  EXPECT_THAT(
      http((*folder_ / "tiny").string(), "GET /metrics HTTP/1.1\r\nHost: u\r\n\r\n"),
      testing::AllOf(testing::HasSubstr(R"(unroll_events_total{event="journal_error",reason="write"} 1)"),
                     testing::HasSubstr("unroll_journal_blocked 1\n")));

  ASSERT_TRUE(std::filesystem::remove(filler(pid)));
  peer->call("document.end", {{"document", id}});
  EXPECT_EQ(peer->read_document(id).end["method"], "document.done");
  peer->call("document.attach", {{"document", id}});
  EXPECT_EQ(peer->read_document(id).outputs, expected);
  EXPECT_THAT(read_file(*folder_ / "tiny.log"), testing::HasSubstr("can be written again"));
  EXPECT_EQ(daemon.stop(SIGTERM), 0);
}

TEST_F(FullDisk, OneThatIsReadOnlyKeepsTheDaemonFromStarting) {
  std::filesystem::create_directory(*folder_ / "read-only");
  const std::string disk = (*folder_ / "read-only").string();
  const auto result = run({"/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-c",
                           "mount -t tmpfs -o ro none \"$0\" || exit 77; exec timeout 20 \"$@\"", disk,
                           program("unrolld").string(), "--socket", (*folder_ / "tiny").string(), "--model",
                           (*folder_ / "model").string(), "--journal", disk + "/journal"});
  if (result.exit_code == 77) GTEST_SKIP() << "no file system may be mounted here: " << result.err;
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              testing::AllOf(testing::HasSubstr(disk + "/journal"), testing::HasSubstr("--journal")));
}

}  // namespace
}  // namespace unroll::test
