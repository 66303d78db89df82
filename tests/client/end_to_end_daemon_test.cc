// What only a daemon can do: documents that outlive their client, cancel, attach, sockets; and the terminal.
#include <chrono>
#include <csignal>
#include <functional>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "client/reading/connection.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Documents : public WithDaemon {
 protected:
  static json list() {
    std::string why;
    auto connection = DaemonConnection::open(daemon_->socket(), why);
    if (!connection) throw std::runtime_error(why);
    return connection->call(method::kList, json::object()).at("documents");
  }
  /// The newest document of that name; null if there is none.
  static json document(const std::string& name) {
    for (const json& document : list()) {
      if (document["name"] == name) return document;
    }
    return nullptr;
  }
  static bool alive() { return by_daemon({"status"}).exit_code == 0; }
};

/// `unroll score` of a named pipe that the test holds open: stays in the middle of its document until
/// stopped.
class Unfinished {
 public:
  Unfinished(const std::string& pipe, const std::string& socket) : name(pipe), log(pipe + ".log") {
    if (::mkfifo(pipe.c_str(), 0600) != 0) throw std::runtime_error("no named pipe");
    writer_ = UniqueFd(::open(pipe.c_str(), O_RDWR | O_CLOEXEC));
    const std::string text = prose(3);
    if (::write(writer_.get(), text.data(), text.size()) < 0) throw std::runtime_error("cannot write");
    client = std::make_unique<Process>(
        std::vector<std::string>{program("unroll").string(), "score", pipe, "--socket", socket}, log);
  }
  void end() { writer_.reset(); }

  const std::string name, log;
  std::unique_ptr<Process> client;

 private:
  UniqueFd writer_;
};

TEST_F(Documents, AreListed) {
  read_by_daemon({"score", path("book.txt")});
  const json listed = document(path("book.txt"));
  ASSERT_FALSE(listed.is_null());
  EXPECT_EQ(listed["phase"], "done");
  EXPECT_EQ(listed["bytes"], prose(12).size());
  EXPECT_EQ(json::parse(read_by_daemon({"documents", "--format", "json"}))["documents"], list());
  EXPECT_EQ(lines_of(read_by_daemon({"documents", "--format", "ndjson"})).front(), list().front());
  EXPECT_THAT(read_by_daemon({"documents"}),
              AllOf(HasSubstr(listed["document"].get<std::string>() + "  done"), HasSubstr("100 %"),
                    HasSubstr(path("book.txt")), Not(HasSubstr("\x1b"))));
}

TEST_F(Documents, TopShowsWhatTheDaemonIsAt) {
  const auto text = by_daemon({"top", "--rounds", "2", "--interval", "0.1"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("model "), HasSubstr(" open, "), HasSubstr("tokens/s")));
  EXPECT_THAT(text.out, Not(HasSubstr("\x1b"))) << "no terminal, no cursor to move";
  const auto lines = by_daemon({"top", "--rounds", "2", "--interval", "0.1", "--format", "ndjson"});
  std::istringstream stream(lines.out);
  int count = 0;
  for (std::string line; std::getline(stream, line); ++count) {
    const auto look = json::parse(line);
    EXPECT_GE(look.at("tokens_per_second"), 0);
    EXPECT_TRUE(look.at("documents").is_array());
  }
  EXPECT_EQ(count, 2);
}

TEST_F(Documents, ReloadNamesTheModelThatIsInUseFromNowOn) {
  const auto reloaded = by_daemon({"reload"});
  EXPECT_EQ(reloaded.exit_code, 0) << reloaded.err;
  EXPECT_THAT(reloaded.out, HasSubstr("read with model"));
}

TEST_F(Documents, StatusOfTheDaemon) {
  const json status = json::parse(read_by_daemon({"status", "--format", "json"}));
  EXPECT_EQ(status["socket"], daemon_->socket());
  EXPECT_EQ(status["info"]["model"]["dim"], 16);
  EXPECT_EQ(status["info"]["plugins"].size(), 6u);
  EXPECT_TRUE(status["stats"].contains("open_documents"));
  EXPECT_THAT(read_by_daemon({"status"}),
              AllOf(HasSubstr("listens on " + daemon_->socket()), HasSubstr("model.dim")));
}

TEST_F(Documents, AttachGivesTheOutputsAgain) {
  const std::vector<std::string> run = {"run", "--plugin", "score:{\"granularity\":\"line\"}",
                                        path("book.txt")};
  std::vector<json> outputs;
  for (json line : lines_of(read_by_daemon(run))) {
    line.erase("file");
    outputs.push_back(line);
  }
  const std::string id = document(path("book.txt"))["document"];
  EXPECT_EQ(lines_of(read_by_daemon({"attach", id})), outputs);
  outputs.erase(outputs.begin(), outputs.begin() + 5);
  EXPECT_EQ(lines_of(read_by_daemon({"attach", id, "--from", "5"})), outputs);
  expect_failure(by_daemon({"attach", "nonsense"}), "'nonsense'", "'unroll documents'");
  expect_failure(by_daemon({"cancel", "nonsense"}), "'nonsense'", "'unroll documents'");
  EXPECT_EQ(read_by_daemon({"delete", id}), "deleted " + id + "\n");
  expect_failure(by_daemon({"attach", id}), id, "'unroll documents'");
  expect_failure(by_daemon({"delete", id}), id, "'unroll documents'");
}

TEST_F(Documents, CancelEndsTheClientWithAnError) {
  const Unfinished reading(path("cancelled"), daemon_->socket());
  ASSERT_TRUE(eventually([&] { return !document(reading.name).is_null(); }));
  const std::string id = document(reading.name)["document"];
  EXPECT_EQ(read_by_daemon({"cancel", id}), "cancelled " + id + "\n");
  ASSERT_TRUE(eventually([&] { return !reading.client->running(); }));
  EXPECT_EQ(reading.client->stop(SIGTERM), 1);
  EXPECT_THAT(read_file(reading.log), HasSubstr("cancelled"));
  EXPECT_EQ(document(reading.name)["phase"], "failed");
  EXPECT_TRUE(alive());
}

TEST_F(Documents, ClientInterruptedInTheMiddleLeavesTheDaemonAlive) {
  const Unfinished reading(path("interrupted"), daemon_->socket());
  ASSERT_TRUE(eventually([&] {
    const json listed = document(reading.name);
    return !listed.is_null() && listed["bytes"] > 0;
  }));
  EXPECT_EQ(reading.client->stop(SIGINT), 128 + SIGINT);
  EXPECT_TRUE(eventually([&] { return document(reading.name)["phase"] == "failed"; }));
  EXPECT_TRUE(alive());
  EXPECT_EQ(read_by_daemon({"score", path("book.txt")}), read_embedded({"score", path("book.txt")}));
}

TEST_F(Documents, ClientKilledAfterItsDocumentIsCompleteLeavesItToBeRead) {
  Unfinished reading(path("complete"), daemon_->socket());
  ASSERT_TRUE(eventually([&] { return !document(reading.name).is_null(); }));
  reading.end();
  ASSERT_TRUE(eventually([&] { return document(reading.name)["phase"] == "done"; }));
  reading.client->stop(SIGKILL);
  const std::vector<json> outputs = lines_of(read_by_daemon({"attach", document(reading.name)["document"]}));
  ASSERT_FALSE(outputs.empty());
  EXPECT_EQ(outputs.back()["data"]["bytes"], prose(3).size());
}

TEST_F(Documents, SecondDaemonOnTheSameSocketIsRefused) {
  const Finished second = run({program("unrolld").string(), "--socket", daemon_->socket(), "--model", model(),
                               "--journal", ":memory:"});
  expect_failure(second, daemon_->socket(), "another daemon listens there; stop it or name another");
  EXPECT_TRUE(alive());
}

TEST_F(Documents, DaemonKilledInTheMiddle) {
  const TemporaryFolder folder;
  auto daemon = std::make_unique<Daemon>(folder.path(), model());
  const Unfinished reading(path("orphan"), daemon->socket());
  std::string why;
  auto connection = DaemonConnection::open(daemon->socket(), why);
  ASSERT_TRUE(connection) << why;
  ASSERT_TRUE(
      eventually([&] { return !connection->call(method::kList, json::object()).at("documents").empty(); }));
  daemon->stop(SIGKILL);
  ASSERT_TRUE(eventually([&] { return !reading.client->running(); }));
  EXPECT_EQ(reading.client->stop(SIGTERM), 1);
  EXPECT_THAT(read_file(reading.log),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("run the command again")));

  // The socket file is stale: a client reports that, and the next daemon replaces it.
  expect_failure(unroll({"score", path("book.txt"), "--socket", daemon->socket()}),
                 "no daemon listens on " + daemon->socket(), "unrolld --socket");
  daemon = std::make_unique<Daemon>(folder.path(), model());
  EXPECT_EQ(unroll({"score", path("book.txt"), "--socket", daemon->socket()}).exit_code, 0);
  EXPECT_EQ(daemon->stop(SIGTERM), 0);
}

class OnTerminal : public WithDaemon {
 protected:
  /// Long enough to be observed at work.
  static void SetUpTestSuite() {
    WithDaemon::SetUpTestSuite();
    write_file(path("long"), prose(400));
  }
  static std::string shown(const std::string& file, const std::map<std::string, std::string>& environment) {
    return run_on_terminal({program("unroll").string(), "score", path(file), "--socket", daemon_->socket()},
                           {"", environment})
        .out;
  }
};

TEST_F(OnTerminal, ProgressAndColour) {
  const std::string seen = shown("long", {{"TERM", "xterm-256color"}});
  // The bar's position when it is drawn depends on the speed of both programs: it may never be beyond 0 %.
  EXPECT_THAT(seen, ContainsRegex("long  \\[=*>? *\\] +[0-9]+ % .* tokens/s"));
  EXPECT_THAT(seen, AllOf(HasSubstr("\x1b[1m"), HasSubstr("\x1b[0m")));
  EXPECT_LT(seen.rfind("tokens/s"), seen.find("bits per byte")) << "the bar is gone before the results come";
}

TEST_F(OnTerminal, NoEscapeCodesWhereTheyAreNotWanted) {
  for (const auto& environment :
       {std::map<std::string, std::string>{{"TERM", "xterm-256color"}, {"NO_COLOR", "1"}},
        std::map<std::string, std::string>{{"TERM", "dumb"}}}) {
    const std::string seen = shown("long", environment);
    EXPECT_THAT(seen, AllOf(HasSubstr("tokens/s"), HasSubstr("bits per byte"), Not(HasSubstr("\x1b"))));
  }
}

TEST_F(OnTerminal, NothingButTheResultsElsewhere) {
  const Finished finished = by_daemon({"score", path("long")}, {"", {{"TERM", "xterm-256color"}}});
  EXPECT_EQ(finished.err, "");
  EXPECT_THAT(finished.out, AllOf(HasSubstr("bits per byte"), Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
  // Results in a file, the bar on the terminal.
  const Finished bar =
      run_on_terminal({"/bin/sh", "-c", R"("$0" score "$1" --socket "$2" > "$3")", program("unroll").string(),
                       path("long"), daemon_->socket(), path("out")},
                      {"", {{"TERM", "xterm-256color"}}});
  EXPECT_THAT(bar.out, AllOf(HasSubstr("tokens/s"), Not(HasSubstr("bits per byte"))));
  EXPECT_EQ(read_file(path("out")), finished.out);
}

}  // namespace
}  // namespace unroll::test
