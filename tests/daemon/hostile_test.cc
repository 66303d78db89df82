// One user takes all resources that they can get: connections, lines without an end, slow requests. Others,
// and root above all, are served as usual.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/daemon/daemon_case.h"
#include "tests/daemon/other_user.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Hostile : public DaemonCase {
 protected:
  void start_open_to_all(json settings) {
    settings["socket"] = {{"mode", "0666"}};
    start(settings);
    std::filesystem::permissions(folder_->path(), std::filesystem::perms::others_exec,
                                 std::filesystem::perm_options::add);
  }
  static json stats() { return Peer(socket()).call("server.stats", json::object())["result"]; }
  static std::string http(const std::string& request) { return test::http(socket(), request); }
  /// Until the daemon has more to send to this peer than the socket takes.
  static void wait_until_full(const Peer& peer) {
    int before = 0, same = 0;
    for (int tries = 0; same < 10 && tries < 1500; ++tries) {
      int unread = 0;
      ::ioctl(peer.descriptor(), FIONREAD, &unread);
      same = unread > 50'000 && unread == before ? same + 1 : 0;
      before = unread;
      ::poll(nullptr, 0, 20);
    }
    EXPECT_EQ(same, 10);
  }
};

/// The end of its document waits behind what it does not read. Meanwhile another connection of its user
/// deletes the document, or continues it.
TEST_F(Hostile, OneThatReadsNothingAndLeavesAfterItsDocumentIsGoneHarmsNobody) {
  start({{"limits", {{"outgoing_bytes", 65536}}}});
  const std::string text = some_text(4000), discover = R"({"jsonrpc":"2.0","id":7,"method":"rpc.discover"})";
  const json stream{{"plugins", scored()}, {"stream", true}};
  for (const std::string way : {"deleted", "deleted http", "continued"}) {
    SCOPED_TRACE(way);
    Peer other(socket());
    auto deaf = std::make_unique<Peer>(socket());
    json id;
    if (way == "deleted http") {
      deaf->send("POST /v1/score?granularity=token HTTP/1.1\r\nHost: u\r\nContent-Length: " +
                 std::to_string(text.size()) + "\r\n\r\n" + text);
    } else {
      id = deaf->call("document.open", stream)["result"]["document"];
      for (int i = 0; i < 100; ++i) deaf->send(discover + "\n");
    }
    wait_until_full(*deaf);
    if (id.is_null()) id = other.call("document.list", json::object())["result"]["documents"][0]["document"];
    other.call("document.cancel", {{"document", id}});
    json request = stream, answer;
    request["resume"] = id;
    for (int tries = 0; tries < 1500 && !answer.contains("result"); ++tries) {
      if (tries > 0) ::poll(nullptr, 0, 20);
      answer = way == "continued" ? other.call("document.open", request)
                                  : other.call("document.delete", {{"document", id}});
    }
    ASSERT_TRUE(answer.contains("result")) << answer;
    deaf.reset();
    for (int tries = 0; tries < 1500 && stats()["connections"] > 2; ++tries) ::poll(nullptr, 0, 20);
    ASSERT_TRUE(process().running()) << log();
    if (way == "continued") {
      other.call("document.append", {{"document", id}, {"text", text.substr(0, 5000)}});
      other.call("document.end", {{"document", id}});
      EXPECT_EQ(other.read_document(id).end["method"], "document.done");
    }
  }
}

TEST_F(Hostile, ConnectionsThatAreHeldLeavePlacesForRoot) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be another user";
  start_open_to_all({{"limits", {{"connections", 40}, {"connections_per_user", 40}}}});
  const OtherUser holds([] {
    static std::vector<Peer> held;
    for (int i = 0; i < 60; ++i) {
      held.emplace_back(socket());
      held.back().send("{");
    }
    // Until the last one has been refused, which it reports.
    held.back().line();
  });
  ASSERT_TRUE(holds.good());
  Peer peer(socket());
  EXPECT_EQ(peer.call("server.ping", json::object())["result"], json::object());
  EXPECT_TRUE(peer.call("server.reload", json::object()).contains("result"));
  EXPECT_THAT(http("GET /healthz HTTP/1.1\r\nHost: u\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(http("GET /metrics HTTP/1.1\r\nHost: u\r\n\r\n"),
              HasSubstr("unroll_events_total{event=\"refused\",reason=\"limits.connections\"}"));
  EXPECT_THAT(log(), HasSubstr("user 65534 was refused: too many connections are open"));
}

TEST_F(Hostile, ConnectionsOfTwoUsersLeavePlacesForAThird) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be other users";
  start_open_to_all({{"limits", {{"connections", 300}, {"connections_per_user", 300}}}});
  const std::string path = socket();
  const auto hold = [&] {
    static std::vector<Peer> held;
    for (int i = 0; i < 200; ++i) {
      held.emplace_back(path);
      held.back().send("{");
    }
    held.back().line();  // the refusal
  };
  const OtherUser first(hold, 20'001), second(hold, 20'002);
  ASSERT_TRUE(first.good() && second.good());
  const OtherUser third([&] {
    std::vector<Peer> peers;
    for (int i = 0; i < 2; ++i) {
      if (!peers.emplace_back(path).call("server.ping", json::object()).contains("result"))
        throw std::runtime_error("refused");
    }
  });
  EXPECT_TRUE(third.good());
}

TEST_F(Hostile, ARefusedConnectionHearsOfItInItsOwnLanguage) {
  start({{"limits", {{"connections", 1}}}});
  Peer stays(socket());
  stays.call("server.ping", json::object());
  const std::string answer = http("GET /healthz HTTP/1.1\r\nHost: u\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("Retry-After: "));
  Peer json_rpc(socket());
  json_rpc.send(R"({"jsonrpc":"2.0","id":1,"method":"server.ping"})"
                "\n");
  EXPECT_EQ(json::parse(json_rpc.line().value())["error"]["data"]["limit"], "limits.connections");
  Peer silent(socket());
  EXPECT_EQ(json::parse(silent.line().value())["error"]["data"]["limit"], "limits.connections");
}

TEST_F(Hostile, ALineThatStopsInItsMiddleIsGivenUpAndOneThatGoesOnIsNot) {
  start({{"limits", {{"request_timeout_ms", 300}}}});
  Peer stopped(socket()), slow(socket());
  stopped.send("{\"jsonrpc\"");
  const std::string line = R"({"jsonrpc":"2.0","id":1,"method":"server.ping"})";
  for (const char byte : line) {
    slow.send(std::string_view(&byte, 1));
    ::poll(nullptr, 0, 20);  // longer than the time for all of them together
  }
  slow.send("\n");
  EXPECT_THAT(slow.line().value(), HasSubstr("\"result\""));
  EXPECT_EQ(json::parse(stopped.line().value())["error"]["data"]["limit"], "limits.request_timeout_ms");
  EXPECT_EQ(stopped.line(), std::nullopt);
}

TEST_F(Hostile, AnIdleConnectionIsClosedUnlessItHasDocumentsToHearOf) {
  start({{"limits", {{"idle_timeout_ms", 300}, {"request_timeout_ms", 60'000}}}});
  Peer idle(socket()), listens(socket());
  idle.call("server.ping", json::object());
  const json request{{"plugins", scored()}, {"stream", true}};
  const auto id = listens.call("document.open", request)["result"]["document"];
  EXPECT_EQ(idle.line(), std::nullopt);
  Peer later(socket());
  later.call("server.ping", json::object());
  EXPECT_EQ(later.line(), std::nullopt) << "the other one has been idle for longer by now";
  listens.call("document.append", {{"document", id}, {"text", some_text(10)}});
  listens.call("document.end", {{"document", id}});
  EXPECT_EQ(listens.read_document(id).end["method"], "document.done");
  EXPECT_EQ(listens.line(), std::nullopt) << "now it has none";
}

TEST_F(Hostile, UnfinishedLinesTakeNoMoreMemoryThanTheirUserMay) {
  constexpr std::size_t kLine = (8u << 20) - 100, kConnections = 24;
  start({{"limits", {{"line_bytes_per_user", 16 << 20}, {"request_timeout_ms", 1500}}}});
  const std::size_t before = stats()["resident_bytes"];
  const std::string begin = R"({"jsonrpc":"2.0","id":1,"method":")", part = begin + std::string(kLine, 'a');
  std::vector<Peer> peers;
  std::vector<std::size_t> sent(kConnections);
  for (std::size_t i = 0; i < kConnections; ++i) peers.emplace_back(socket());
  std::size_t whole = 0, most = 0;
  // As many as possible, until the first ones are closed by timeout and have made room for others.
  for (int rounds = 0; rounds < 3000 && whole < 4; ++rounds) {
    for (std::size_t i = 0; i < kConnections; ++i) {
      const auto rest = std::string_view(part).substr(sent[i]);
      if (rest.empty()) continue;
      sent[i] += peers[i].send_some(rest);
      if (sent[i] == part.size()) ++whole;
    }
    most = std::max<std::size_t>(most, stats()["resident_bytes"]);
    ::poll(nullptr, 0, 2);
  }
  EXPECT_GE(whole, 4u) << "those that wait for room never get it";
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(most - before, std::size_t{72} << 20);
#endif
  static_cast<void>(before);
}

TEST_F(Hostile, TheLimitOfOpenFilesIsRaisedToWhatItMayBe) {
  rlimit usual{};
  ::getrlimit(RLIMIT_NOFILE, &usual);
  const rlimit small{64, usual.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &small);  // for the next daemon
  start();
  ::setrlimit(RLIMIT_NOFILE, &usual);
  rlimit found{};
  ASSERT_EQ(::prlimit(process().pid(), RLIMIT_NOFILE, nullptr, &found), 0);
  EXPECT_EQ(found.rlim_cur, usual.rlim_max);
}

TEST_F(Hostile, AFileThatAnybodyMayLockKeepsNoDaemonFromStarting) {
  process().stop(SIGTERM);
  const UniqueFd folder(::open(folder_->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(folder.get(), LOCK_EX), 0);
  start();
  // The error names the process that holds the daemon's own lock, instead of waiting for it.
  process().stop(SIGTERM);
  const std::string lock = socket() + ".lock";
  const UniqueFd locked(::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(locked.get(), LOCK_EX), 0);
  const auto second = run({program("unrolld").string(), "--socket", socket(), "--model",
                           (*folder_ / "model").string(), "--journal", ":memory:"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr(lock));
}

}  // namespace
}  // namespace unroll::test
