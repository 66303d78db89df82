// HTTP over TCP: who may use it, and that a token is a user.
#include <cstdlib>
#include <filesystem>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/daemon_case.h"
#include "tests/daemon/http_answer.h"
#include "tests/daemon/other_user.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kAnn = "ann-0123456789abcdef", kBob = "bob-0123456789abcdef";

class HttpTcp : public DaemonCase {
 protected:
  void SetUp() override {
    write_tokens("# users\n\nann " + kAnn + "\nbob\t" + kBob + "\r\n");
    listen();
  }
  void listen(json settings = json::object()) {
    settings["http"] = {{"listen", "127.0.0.1:0"}, {"tokens", tokens().string()}};
    start(settings);
    port_ = port_in(log());
  }
  static fs::path tokens() { return *folder_ / "tokens"; }
  static void write_tokens(const std::string& text) {
    write_file(tokens(), text);
    fs::permissions(tokens(), fs::perms::owner_read | fs::perms::owner_write);
  }
  static std::uint16_t port_in(const std::string& log) {
    constexpr std::string_view kBefore = "listening on http://127.0.0.1:";
    const auto at = log.rfind(kBefore);
    if (at == std::string::npos) throw std::runtime_error("no port in: " + log);
    return static_cast<std::uint16_t>(std::stoi(log.substr(at + kBefore.size())));
  }
  static std::string head(const std::string& line, const std::string& token, std::size_t length = 0) {
    return line + " HTTP/1.1\r\nHost: u\r\n" +
           (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") +
           "Content-Length: " + std::to_string(length) + "\r\n";
  }
  HttpAnswer ask(const std::string& line, const std::string& token, const std::string& body = "") const {
    return send(head(line, token, body.size()) + "\r\n" + body);
  }
  HttpAnswer send(const std::string& request) const {
    Peer peer(port_);
    peer.send(request);
    peer.close_sending();
    return parse_answer(peer.rest());
  }
  /// The exit code and what it said of a daemon that does not start.
  static std::string refusal(const json& settings) {
    write_file(*folder_ / "other.json", settings.dump());
    Process process(
        {program("unrolld").string(), "--config", (*folder_ / "other.json").string(), "--socket",
         (*folder_ / "t").string(), "--model", (*folder_ / "model").string(), "--journal", ":memory:"},
        *folder_ / "other.log");
    for (int tries = 0; process.running() && tries < 1500; ++tries) ::poll(nullptr, 0, 20);
    EXPECT_FALSE(process.running());
    EXPECT_EQ(process.stop(SIGKILL), 1);
    return read_file(*folder_ / "other.log");
  }

  std::uint16_t port_ = 0;
};

TEST_F(HttpTcp, OnlyARequestWithATokenIsAnswered) {
  const auto text = some_text(20);
  EXPECT_EQ(ask("GET /v1/models", kAnn).status, 200);
  EXPECT_EQ(ask("GET /v1/models", kBob).status, 200);
  EXPECT_THAT(ask("PUT /v1/score", kAnn, text).body, HasSubstr("\"done\""));
  for (const char* line : {"GET /v1/models", "GET /v1/documents", "GET /metrics", "GET /openapi.json",
                           "GET /nothing", "DELETE /healthy", "PUT /v1/score", "POST /v1/completions"}) {
    const auto missing = ask(line, "");
    EXPECT_EQ(missing.status, 401) << line;
    EXPECT_EQ(missing.fields.at("WWW-Authenticate"), "Bearer realm=\"unroll\"");
    EXPECT_EQ(json::parse(missing.body)["error"]["data"]["name"], "permission");
    for (const auto& wrong : {kAnn.substr(1), kAnn + "0", std::string("x"), std::string(16, '0')}) {
      const auto answer = ask(line, wrong, text);
      EXPECT_EQ(answer.status, 401) << line;
      EXPECT_THAT(answer.fields.at("WWW-Authenticate"), HasSubstr("invalid_token"));
      EXPECT_EQ(answer.fields.at("Connection"), "close");
    }
  }
  const std::string get = "GET /v1/models HTTP/1.1\r\nHost: u\r\n";
  EXPECT_EQ(send(get + "Authorization: bearer " + kAnn + "\r\n\r\n").status, 200) << "any case";
  EXPECT_EQ(send(get + "Authorization: Basic " + kAnn + "\r\n\r\n").status, 401);
  EXPECT_EQ(send(get + "Authorization: Bearer\r\n\r\n").status, 401);
  const std::string twice = "Authorization: Bearer " + kAnn + "\r\nAuthorization: Bearer " + kBob + "\r\n";
  EXPECT_EQ(send(get + twice + "\r\n").status, 401);
  EXPECT_EQ(send(R"({"jsonrpc":"2.0","id":1,"method":"server.info"})"
                 "\r\n\r\n")
                .status,
            400);
  EXPECT_EQ(ask("GET /healthz", "").body, "ok\n");
  EXPECT_EQ(ask("GET /readyz", "").body, "ok\n");
  EXPECT_THAT(log(), AllOf(HasSubstr("127.0.0.1 port"), HasSubstr("no valid token"), Not(HasSubstr(kAnn))));
  EXPECT_THAT(ask("GET /metrics", kAnn).body,
              HasSubstr("unroll_events_total{event=\"refused\",reason=\"token\"}"));
}

TEST_F(HttpTcp, ATokenIsAUser) {
  const auto id = ask("PUT /v1/score", kAnn, "of ann\n").fields.at("X-Unroll-Document");
  ask("PUT /v1/snapshots/mine", kAnn, "of ann\n");
  EXPECT_THAT(ask("GET /v1/documents", kAnn).body, HasSubstr(id));
  EXPECT_THAT(ask("GET /v1/documents", kBob).body, Not(HasSubstr(id)));
  EXPECT_THAT(http(socket(), "GET /v1/documents HTTP/1.1\r\nHost: u\r\n\r\n"), Not(HasSubstr(id)));
  EXPECT_EQ(ask("GET /v1/documents/" + id, kAnn).status, 200);
  const std::string missing(id.size(), '0');
  for (const std::string line : {"GET /v1/documents/ID", "DELETE /v1/documents/ID",
                                 "POST /v1/documents/ID/cancel", "GET /v1/documents/ID/events"}) {
    const auto at = line.find("ID");
    auto others = ask(std::string(line).replace(at, 2, id), kBob);
    const auto none = ask(std::string(line).replace(at, 2, missing), kBob);
    EXPECT_EQ(others.status, 404);
    EXPECT_EQ(none.status, 404);
    others.body.replace(others.body.find(id), id.size(), missing);
    EXPECT_EQ(others.body, none.body);
    EXPECT_EQ(others.fields, none.fields);
  }
  EXPECT_EQ(ask("GET /v1/snapshots/mine", kAnn).status, 200);
  EXPECT_EQ(ask("GET /v1/snapshots/mine", kBob).status, 404);
  EXPECT_EQ(ask("PUT /v1/score?from=mine", kBob, "more\n").status, 404);
  // Two requests of different users on one connection, as a proxy sends them.
  Peer peer(port_);
  peer.send(head("GET /v1/documents/" + id, kAnn) + "\r\n" + head("GET /v1/documents/" + id, kBob) + "\r\n");
  peer.close_sending();
  const auto both = peer.rest();
  EXPECT_THAT(both, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("HTTP/1.1 404")));
}

TEST_F(HttpTcp, LimitsPerUserAreThoseOfAToken) {
  listen({{"limits", {{"documents_per_user", 1}, {"connections_per_user", 3}}}});
  Peer holds(port_);
  holds.send(head("PUT /v1/score", kAnn, 10) + "\r\nabc");
  EXPECT_THAT(holds.line().value(), StartsWith("HTTP/1.1 200"));
  const auto refused = ask("PUT /v1/score", kAnn, "x\n");
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr("limits.documents_per_user"));
  EXPECT_EQ(ask("PUT /v1/score", kBob, "x\n").status, 200);
  std::vector<std::unique_ptr<Peer>> idle;
  for (int i = 0; i < 2; ++i) {
    idle.push_back(std::make_unique<Peer>(port_));
    idle.back()->send(head("GET /healthz", kAnn) + "\r\n" + head("GET /v1/models", kAnn) + "\r\n");
    while (idle.back()->line().value().find("\"object\":\"list\"") == std::string::npos) {
    }
  }
  const auto fourth = ask("GET /v1/models", kAnn);
  EXPECT_EQ(fourth.status, 429);
  EXPECT_THAT(fourth.body, HasSubstr("limits.connections_per_user"));
  EXPECT_EQ(ask("GET /v1/models", kBob).status, 200);
}

TEST_F(HttpTcp, StrangersKeepNobodyOut) {
  std::vector<std::unique_ptr<Peer>> strangers;
  for (int i = 0; i < 100; ++i) {
    strangers.push_back(std::make_unique<Peer>(port_));
    strangers.back()->send("GET /v1/mod");
  }
  EXPECT_EQ(ask("GET /v1/models", kAnn).status, 200);
  EXPECT_EQ(strangers.front()->rest(), "") << "the oldest was closed";
}

TEST_F(HttpTcp, AReloadReadsTheTokensAgain) {
  const auto id = ask("PUT /v1/score", kAnn, "of ann\n").fields.at("X-Unroll-Document");
  Peer kept(port_), revoked(port_);
  kept.send(head("GET /v1/models", kBob) + "\r\n");
  revoked.send(head("GET /v1/models", kAnn) + "\r\n");
  for (auto* peer : {&kept, &revoked}) {
    while (peer->line().value().find("\"object\":\"list\"") == std::string::npos) {
    }
  }
  const std::string renewed = "new-0123456789abcdef";
  write_tokens("ann short\n");
  EXPECT_THAT(Peer(socket()).call("server.reload", json::object())["error"]["message"].get<std::string>(),
              AllOf(HasSubstr("tokens"), HasSubstr("line 1"), Not(HasSubstr("short"))));
  EXPECT_EQ(ask("GET /v1/models", kAnn).status, 200) << "nothing has changed";
  write_tokens("ann " + renewed + "\nbob " + kBob + "\n");
  ::kill(process().pid(), SIGHUP);
  EXPECT_EQ(revoked.rest(), "") << "closed";
  EXPECT_EQ(ask("GET /v1/models", kAnn).status, 401);
  EXPECT_EQ(ask("GET /v1/documents/" + id, renewed).status, 200) << "a name is a user, not a token";
  kept.send(head("GET /readyz", kBob) + "\r\n");
  EXPECT_THAT(kept.line().value(), StartsWith("HTTP/1.1 200"));
  listen();
  EXPECT_EQ(ask("GET /v1/documents/" + id, renewed).status, 200) << "after a restart, too";
}

TEST_F(HttpTcp, WhatIsReadForAClientThatWentAwayIsCancelled) {
  std::string id;
  {
    Peer peer(port_);
    peer.send(head("PUT /v1/score", kAnn, 100'000) + "\r\nabc");
    while (!peer.line().value().starts_with("X-Unroll-Document: ")) {
    }
    id = json::parse(ask("GET /v1/documents", kAnn).body)["documents"][0]["document"];
  }
  json status;
  do {
    status = json::parse(ask("GET /v1/documents/" + id, kAnn).body);
  } while (status["phase"] == "open");
  EXPECT_EQ(status["error"]["data"]["name"], "peer_gone");
}

TEST_F(HttpTcp, ADaemonWithoutGoodTokensDoesNotStart) {
  const auto refuse = [](const json& http) { return refusal({{"http", http}}); };
  const auto with_file = [&](const std::string& text) {
    write_tokens(text);
    return refuse({{"listen", "127.0.0.1:0"}, {"tokens", tokens().string()}});
  };
  EXPECT_THAT(refuse({{"listen", "0"}}), AllOf(HasSubstr("http.tokens"), HasSubstr("needs tokens")));
  EXPECT_THAT(refuse({{"listen", "0"}, {"tokens", "/nonexistent/tokens"}}), HasSubstr("No such file"));
  EXPECT_THAT(with_file("# none\n"), HasSubstr("has no token"));
  EXPECT_THAT(with_file("ann\n"), HasSubstr("line 1: write NAME TOKEN"));
  EXPECT_THAT(with_file("ann " + kAnn + " more\n"), HasSubstr("line 1: write NAME TOKEN"));
  EXPECT_THAT(with_file("\nann 0123456789abcde\n"), HasSubstr("line 2: a token has 16"));
  EXPECT_THAT(with_file("ann 0123456789abcde\"\n"), HasSubstr("line 1: a token has 16"));
  EXPECT_THAT(with_file("a/b " + kAnn + "\n"), HasSubstr("line 1: a name has"));
  EXPECT_THAT(with_file("ann " + kAnn + "\nbob " + kAnn + "\n"),
              AllOf(HasSubstr("line 2: the token was given before, to ann"), Not(HasSubstr(kAnn))));
  const std::string good = "ann " + kAnn + "\nann " + kBob + "\n";  // one with two
  write_tokens(good);
  fs::permissions(tokens(), fs::perms::group_read, fs::perm_options::add);
  EXPECT_THAT(refuse({{"listen", "0"}, {"tokens", tokens().string()}}), HasSubstr("chmod 600"));
  write_tokens(good);
  for (const char* address : {"localhost:0", "127.0.0.1:70000", "127.0.0.1:", "::1:0x"}) {
    EXPECT_THAT(refuse({{"listen", address}, {"tokens", tokens().string()}}), HasSubstr("ADDRESS:PORT"));
  }
  EXPECT_THAT(refuse({{"listen", std::to_string(port_)}, {"tokens", tokens().string()}}),
              HasSubstr("in use"));
  if (::getuid() == 0) {
    ASSERT_EQ(::chown(tokens().c_str(), kOtherUser, kOtherUser), 0);
    EXPECT_THAT(refuse({{"listen", "0"}, {"tokens", tokens().string()}}), HasSubstr("belongs to user"));
  }
}

/// As systemd passes them: descriptors 3 and 4.
TEST_F(HttpTcp, SystemdMayPassBothSockets) {
  const UniqueFd local(::socket(AF_UNIX, SOCK_STREAM, 0)), tcp(::socket(AF_INET, SOCK_STREAM, 0));
  const auto path = (*folder_ / "passed").string();
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, sizeof(at.sun_path) - 1);
  ASSERT_EQ(::bind(local.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  sockaddr_in loopback{};
  loopback.sin_family = AF_INET;
  loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(tcp.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback), 0);
  socklen_t size = sizeof loopback;
  ASSERT_EQ(::getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&loopback), &size), 0);
  ASSERT_EQ(::listen(local.get(), 10) + ::listen(tcp.get(), 10), 0);
  write_file(*folder_ / "other.json", json{{"http", {{"tokens", tokens().string()}}}}.dump());
  const auto words = std::vector<std::string>{program("unrolld").string(),
                                              "--config",
                                              (*folder_ / "other.json").string(),
                                              "--model",
                                              (*folder_ / "model").string(),
                                              "--journal",
                                              ":memory:"};
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::dup2(::dup(tcp.get()), 20);
    ::dup2(local.get(), 21);
    ::dup2(20, 3);
    ::dup2(21, 4);
    ::setenv("LISTEN_FDS", "2", 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  port_ = ntohs(loopback.sin_port);
  EXPECT_EQ(ask("GET /v1/models", kAnn).status, 200);
  EXPECT_EQ(ask("GET /v1/models", "").status, 401);
  EXPECT_TRUE(Peer(path).call("server.ping", json::object()).contains("result"));
  ::kill(child, SIGTERM);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace unroll::test
