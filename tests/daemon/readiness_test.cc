// What must work before the daemon reports that it is ready, and users that it cannot tell apart.
#include <array>
#include <csignal>

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kFailingScore = R"(
from unroll_plugin import Plugin

class Score(Plugin):
    name, version, description = "score", "1", "fails on its first block"

    def process(self, block):
        raise RuntimeError("no cheese")
)";

class Readiness : public DaemonCase {
 protected:
  void SetUp() override {
    fs::remove_all(plugins());
    fs::copy(BUILTIN_PLUGIN_DIRECTORY, plugins(), fs::copy_options::recursive);
  }
  static fs::path plugins() { return *folder_ / "plugins"; }
  static json settings() {
    return {{"plugins", {{"directory", plugins().string()}, {"python", TEST_PYTHON}}}};
  }
  /// The error of a daemon that does not start.
  static Finished start_and_fail() {
    write_file(*folder_ / "settings.json", settings().dump());
    return run({"/usr/bin/timeout", "120", program("unrolld").string(), "--config",
                (*folder_ / "settings.json").string(), "--socket", socket(), "--model",
                (*folder_ / "model").string(), "--journal", ":memory:"});
  }
  static void break_a_default_plugin() { write_file(plugins() / "unroll_anomaly.so", "no library"); }
  static void replace_a_default_plugin() {
    fs::remove(plugins() / "unroll_score.so");
    write_file(plugins() / "score.py", std::string(kFailingScore));
  }
};

TEST_F(Readiness, ADaemonWhoseDefaultPluginCannotBeLoadedDoesNotStart) {
  break_a_default_plugin();
  const Finished finished = start_and_fail();
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("the default plugin 'anomaly' cannot be loaded: "),
                                  HasSubstr("unroll_anomaly.so"), Not(HasSubstr("listening"))));
}

TEST_F(Readiness, ADaemonWhosePluginsFailOnTheTestLineDoesNotStart) {
  replace_a_default_plugin();
  const Finished finished = start_and_fail();
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("the built-in test line could not be read: "),
                                  HasSubstr("no cheese"), Not(HasSubstr("listening"))));
}

TEST_F(Readiness, AnotherPluginThatCannotBeLoadedIsLeftOut) {
  write_file(plugins() / "others.so", "no library");
  start(settings());
  EXPECT_THAT(log(), AllOf(HasSubstr("plugin left out: "), HasSubstr("others.so")));
}

TEST_F(Readiness, AReloadWhosePluginsFailOnTheTestLineChangesNothing) {
  start(settings());
  const auto before = read_text(some_text(20)).outputs;
  replace_a_default_plugin();
  const auto answer = Peer(socket()).call("server.reload", json::object());
  EXPECT_EQ(answer["error"]["data"]["name"], "plugin_failed") << answer;
  fs::remove(plugins() / "score.py");
  fs::copy(fs::path(BUILTIN_PLUGIN_DIRECTORY) / "unroll_score.so", plugins());
  break_a_default_plugin();
  EXPECT_EQ(Peer(socket()).call("server.reload", json::object())["error"]["data"]["name"], "plugin_failed");
  EXPECT_EQ(read_text(some_text(20)).outputs, before);
}

/// As in a unit with ProtectHome=yes. The error mentions it if a home folder is hidden, and only then.
TEST_F(Readiness, AModelInAHiddenHomeFolderIsExplained) {
  const std::vector<std::string> command{
      program("unrolld").string(), "--socket", socket(), "--journal", ":memory:", "--model",
      "/home/alice/model"};
  std::vector<std::string> hidden{"/usr/bin/unshare",
                                  "--map-root-user",
                                  "--mount",
                                  "/bin/sh",
                                  "-c",
                                  "mount -t tmpfs -o mode=0000 none /home && exec \"$@\"",
                                  "sh"};
  hidden.insert(hidden.end(), command.begin(), command.end());
  const Finished finished = run(hidden);
  if (finished.exit_code != 1) GTEST_SKIP() << "no file system may be mounted here: " << finished.err;
  EXPECT_THAT(finished.err,
              HasSubstr("there is no model in '/home/alice/model'; the service does not see /home "
                        "(ProtectHome=yes in its unit)"));
  EXPECT_THAT(run(command).err, AllOf(HasSubstr("there is no model"), Not(HasSubstr("ProtectHome"))));
}

/// The test line belongs to no user: no list, no count and no journal includes it.
TEST_F(Readiness, TheTestLineLeavesNoDocumentBehind) {
  for (const char* suffix : {"", "-wal"}) fs::remove(*folder_ / ("journal" + std::string(suffix)));
  start(settings());
  Peer peer(socket());
  EXPECT_EQ(peer.call("server.stats", json::object())["result"]["documents_done"], 0);
  EXPECT_TRUE(peer.call("document.list", json::object())["result"]["documents"].empty());
}

/// The daemon's answer to this user's first line.
std::string answer_as(uid_t user, const std::string& socket) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string answer = "no such user";
    if (::setgroups(0, nullptr) == 0 && ::setgid(user) == 0 && ::setuid(user) == 0) {
      try {
        answer = Peer(socket).rest();
      } catch (const std::exception& error) {
        answer = error.what();
      }
    }
    ::_exit(::write(ends[1], answer.data(), answer.size()) < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  std::string answer(4096, '\0');
  answer.resize(
      static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], answer.data(), answer.size()))));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return answer;
}

/// As in a unit with PrivateUsers=yes: there all users except root and the daemon's have the same uid.
TEST_F(Readiness, UsersThatTheKernelDoesNotTellApartAreRefused) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be another user";
  write_file(*folder_ / "settings.json", json{{"socket", {{"mode", "0666"}}}}.dump());
  fs::permissions(folder_->path(), fs::perms::others_exec, fs::perm_options::add);
  const std::string other_socket = (*folder_ / "u").string();
  Process daemon({"/usr/bin/unshare", "--user", "--map-root-user", program("unrolld").string(), "--config",
                  (*folder_ / "settings.json").string(), "--socket", other_socket, "--model",
                  (*folder_ / "model").string(), "--journal", ":memory:"},
                 *folder_ / "namespace.log");
  std::optional<Peer> root;
  while (!root && daemon.running()) {
    try {
      root.emplace(other_socket);
    } catch (const std::runtime_error&) {
      ::poll(nullptr, 0, 20);  // between two tries to connect
    }
  }
  const std::string said = read_file(*folder_ / "namespace.log");
  if (!root) GTEST_SKIP() << "no user namespace may be made here: " << said;
  EXPECT_EQ(root->call("server.ping", json::object())["result"], json::object());
  for (const uid_t user : {1234U, 65534U}) {
    EXPECT_THAT(answer_as(user, other_socket), HasSubstr("cannot distinguish you from other users"));
  }
  EXPECT_THAT(read_file(*folder_ / "namespace.log"), HasSubstr("does not contain all users"));
}

}  // namespace
}  // namespace unroll::test
