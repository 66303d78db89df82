// Descriptors from clients: whatever they are, they affect only their user.
#include <array>
#include <optional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/write_all.h"
#include "tests/daemon/daemon_case.h"
#include "tests/daemon/silent_file_system.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;

constexpr int kSourceTimeoutMs = 5000;  // a busy machine takes some time to start a process

class Descriptors : public DaemonCase {
 protected:
  void SetUp() override {
    start({{"limits", {{"source_timeout_ms", kSourceTimeoutMs}, {"descriptors_per_user", 20}}},
           {"drain_ms", 500},
           {"log_level", "debug"},
           {"socket", {{"mode", "0666"}}}});
    std::filesystem::permissions(folder_->path(), std::filesystem::perms::others_exec,
                                 std::filesystem::perm_options::add);
  }
  struct Pipe {
    UniqueFd reading, writing;
  };
  static Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
  static json fd_request() { return {{"plugins", scored()}, {"fd", true}}; }
  static std::string open_line() {
    return json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", "document.open"}, {"params", fd_request()}})
               .dump() +
           "\n";
  }
  static void expect_all_well() {
    EXPECT_EQ(Peer(socket()).call("server.ping", json::object())["result"], json::object());
    EXPECT_EQ(read_text("good\n").end["method"], "document.done");
  }
};

/// A client mounts a file system that does not answer, and sends a file of it. Then the daemon gets SIGTERM.
/// (The client is root, as the daemon is: the kernel shows such a file system only to its own user.)
class SilentFile : public Descriptors, public testing::WithParamInterface<FuseRequest> {};

TEST_P(SilentFile, HurtsItsOwnerAlone) {
  if (::getuid() != 0) GTEST_SKIP() << "only root may mount here";
  const std::string line = open_line(), path = socket();
  const std::size_t logged = log().size();
  const auto abandoned = [&] { return log().find("was abandoned", logged) != std::string::npos; };
  std::optional<Peer> sender;  // in the other process
  const SilentFileSystem files(*folder_ / "mounted", GetParam(), "a line of it\n", [&](const UniqueFd& file) {
    sender.emplace(path);
    sender->send(line, {file.get()});
  });
  if (!files.good()) GTEST_SKIP() << "no FUSE here";
  // Until the daemon has abandoned it, and after that.
  for (int tries = 0; tries < 6000 && !abandoned(); ++tries) {
    expect_all_well();
    ::poll(nullptr, 0, 20);
  }
  EXPECT_TRUE(abandoned()) << log();
  write_file(*folder_ / "file", some_text(30));
  const UniqueFd file(::open((*folder_ / "file").c_str(), O_RDONLY | O_CLOEXEC));
  Peer peer(socket());
  const auto opened = peer.call("document.open", fd_request(), {file.get()});
  ASSERT_TRUE(opened.contains("result")) << opened << log();
  EXPECT_EQ(peer.read_document(opened["result"]["document"]).end["method"], "document.done") << log();
  EXPECT_EQ(process().stop(SIGTERM), 0);
}
INSTANTIATE_TEST_SUITE_P(Each, SilentFile,
                         testing::Values(FuseRequest::kFlush, FuseRequest::kGetattr, FuseRequest::kRead),
                         [](const auto& info) {
                           return info.param == FuseRequest::kFlush     ? "Flush"
                                  : info.param == FuseRequest::kGetattr ? "Getattr"
                                                                        : "Read";
                         });

/// A process that closes the last descriptor of a TCP socket with SO_LINGER waits until the peer has received
/// everything.
UniqueFd lingering_socket(std::vector<UniqueFd>& kept) {
  UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listening.get(), 1) != 0 ||
      ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no TCP");
  UniqueFd sending(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(sending.get(), reinterpret_cast<sockaddr*>(&address), size) != 0)
    throw std::runtime_error("no TCP");
  kept.emplace_back(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const std::string bytes(1 << 20, 'x');
  while (::send(sending.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
  const linger long_time{1, 600};
  ::setsockopt(sending.get(), SOL_SOCKET, SO_LINGER, &long_time, sizeof long_time);
  return sending;
}

/// Stops a process until destruction. A descriptor sent to it meanwhile is only in the message when the
/// sender has closed its own: otherwise the sender's could be the last one, and its close() would wait.
class Stopped {
 public:
  explicit Stopped(pid_t process) : process_(process) {
    int status = 0;
    if (::kill(process, SIGSTOP) != 0 || ::waitpid(process, &status, WUNTRACED) != process ||
        !WIFSTOPPED(status))
      throw std::runtime_error("the daemon does not stop");
  }
  ~Stopped() { ::kill(process_, SIGCONT); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;

 private:
  const pid_t process_;
};

TEST_F(Descriptors, ThatLingerAreClosedWithoutWaiting) {
  std::vector<UniqueFd> kept;
  const std::string ping = R"({"jsonrpc":"2.0","id":1,"method":"server.ping"})"
                           "\n";
  const auto send_lingering = [&](Peer& peer, const std::string& bytes) {
    const UniqueFd lingers = lingering_socket(kept);
    ASSERT_TRUE(peer.send(bytes, {lingers.get()}));
  };
  // With a line that does not use it, in the middle of a line, in lines that are never read, and in HTTP.
  for (const std::string& bytes :
       {ping, std::string("{\"json"), open_line(), std::string("GET /healthz HTTP/1.1\r\nHost: u\r\n\r\n"),
        std::string("GET /health")}) {
    Peer peer(socket());
    {
      const Stopped stopped(process().pid());
      send_lingering(peer, bytes);
    }
    expect_all_well();
  }
  expect_all_well();
  // Unread in the connection when it is closed.
  start({{"limits", {{"connections", 1}}}});
  for (int i = 0; i < 3; ++i) {
    Peer stays(socket());
    stays.call("server.ping", json::object());
    std::optional<Peer> refused;
    {
      const Stopped stopped(process().pid());
      refused.emplace(socket());
      send_lingering(*refused, open_line());
    }
    EXPECT_THAT(refused->rest(), HasSubstr("limits.connections"));
  }
}

TEST_F(Descriptors, ManyAreRefusedByNameAndTheirUserCanGoOnLater) {
  constexpr std::size_t kLimit = 20;
  Peer peer(socket());
  std::vector<Pipe> pipes;
  std::vector<json> ids;
  json refused;
  while (refused.is_null()) {
    pipes.push_back(make_pipe());
    const auto answer = peer.call("document.open", fd_request(), {pipes.back().reading.get()});
    if (answer.contains("error")) {
      refused = answer["error"];
    } else {
      ids.push_back(answer["result"]["document"]);
      ASSERT_LE(ids.size(), kLimit + 20);
    }
  }
  EXPECT_GE(ids.size(), kLimit - 1);
  EXPECT_EQ(refused["data"]["name"], "limit");
  EXPECT_EQ(refused["data"]["limit"], "limits.descriptors_per_user");
  EXPECT_EQ(refused["data"]["value"], kLimit);
  expect_all_well();
  for (const auto& id : ids) peer.call("document.cancel", {{"document", id}});
  peer.read_documents(ids.size());
  write_file(*folder_ / "file", some_text(30));
  const UniqueFd file(::open((*folder_ / "file").c_str(), O_RDONLY | O_CLOEXEC));
  const auto opened = peer.call("document.open", fd_request(), {file.get()});
  ASSERT_TRUE(opened.contains("result")) << opened;
  peer.read_document(opened["result"]["document"]);
}

TEST_F(Descriptors, OfAPipeStayBlockingForWhoeverSharesIt) {
  Pipe pipe = make_pipe();
  Peer peer(socket());
  const auto opened = peer.call("document.open", fd_request(), {pipe.reading.get()});
  const auto text = some_text(200);
  ASSERT_TRUE(write_all(pipe.writing.get(), text));
  while (peer.notification()["method"] != "document.output") {
  }
  EXPECT_EQ(::fcntl(pipe.reading.get(), F_GETFL) & O_NONBLOCK, 0);
  pipe.writing.reset();
  peer.read_document(opened["result"]["document"]);
  EXPECT_EQ(::fcntl(pipe.reading.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Descriptors, APipeThatIsSentAgainGoesOnWhereItWasCommitted) {
  start({{"journal", {{"commit_blocks", 1}}}});
  const auto text = some_text(8000);  // several reads of a pipe
  ASSERT_GT(text.size(), 2u * 64 * 1024);
  const auto expected = read_text(text).outputs;
  json id;
  {
    Pipe pipe = make_pipe();
    Peer peer(socket());
    id = peer.call("document.open", fd_request(), {pipe.reading.get()})["result"]["document"];
    ASSERT_TRUE(write_all(pipe.writing.get(), text.substr(0, 30'000)));
    for (int outputs = 0; outputs < 100;)
      outputs += peer.notification()["method"] == "document.output" ? 1 : 0;
  }
  Pipe pipe = make_pipe();
  Peer peer(socket());
  auto request = fd_request();
  request["resume"] = id;
  json opened;
  for (int tries = 0; tries < 3000 && !opened.contains("result");
       ++tries)  // until the daemon has noticed the disconnection
    opened = peer.call("document.open", request, {pipe.reading.get()});
  ASSERT_TRUE(opened.contains("result")) << opened;
  EXPECT_GT(opened["result"]["resume_bytes"], 0);
  ASSERT_TRUE(write_all(pipe.writing.get(), text));
  pipe.writing.reset();
  EXPECT_EQ(peer.read_document(id).end["params"]["summary"]["bytes"], text.size());
  peer.call("document.attach", {{"document", id}});
  EXPECT_EQ(peer.read_document(id).outputs, expected);
}

TEST_F(Descriptors, WhoseReaderIsKilledFailAndTheNextAreRead) {
  Pipe pipe = make_pipe();
  Peer peer(socket());
  const auto opened = peer.call("document.open", fd_request(), {pipe.reading.get()});
  const auto readers = source_readers();
  ASSERT_EQ(readers.size(), 1u);
  ::kill(readers.front(), SIGKILL);
  EXPECT_EQ(peer.read_document(opened["result"]["document"]).end["params"]["error"]["data"]["name"],
            "source");
  Pipe next = make_pipe();
  const auto again = peer.call("document.open", fd_request(), {next.reading.get()});
  ASSERT_TRUE(again.contains("result")) << again;
  ASSERT_TRUE(write_all(next.writing.get(), "good\n"));
  next.writing.reset();
  EXPECT_EQ(peer.read_document(again["result"]["document"]).end["method"], "document.done");
}

TEST_F(Descriptors, AreHeldByNoOtherProcessThanTheirUsersOwn) {
  Peer peer(socket());
  std::vector<Pipe> pipes;
  pipes.push_back(make_pipe());
  peer.call("document.open", fd_request(), {pipes.back().reading.get()});
  const auto before = descriptors_of(process().pid());
  for (int i = 0; i < 10; ++i) {
    pipes.push_back(make_pipe());
    ASSERT_TRUE(peer.call("document.open", fd_request(), {pipes.back().reading.get()}).contains("result"));
  }
  EXPECT_EQ(descriptors_of(process().pid()), before);
  EXPECT_EQ(source_readers().size(), 1u);
}

}  // namespace
}  // namespace unroll::test
