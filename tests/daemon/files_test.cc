// Documents that are files: continued by the next daemon, and many of them with few descriptors.
#include <array>
#include <csignal>
#include <fstream>
#include <thread>

#include <fcntl.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Files : public DaemonCase {
 protected:
  static json file_request() { return {{"plugins", scored()}, {"fd", true}}; }
  static std::string path() { return (*folder_ / "text").string(); }
  static UniqueFd open_text() { return UniqueFd(::open(path().c_str(), O_RDONLY | O_CLOEXEC)); }
  static json open(Peer& peer) {
    const auto answer = peer.call("document.open", file_request(), {open_text().get()});
    EXPECT_TRUE(answer.contains("result")) << answer;
    return answer.at("result").at("document");
  }
  /// Opens it, and kills the daemon in its middle.
  json killed_in_the_middle() {
    start({{"journal", {{"commit_blocks", 1}}}});
    Peer peer(socket());
    const auto id = open(peer);
    for (int outputs = 0; outputs < 50;) {
      const auto message = peer.notification();
      EXPECT_NE(message["method"], "document.done") << "too short to be killed in its middle";
      outputs += message["method"] == "document.output" ? 1 : 0;
    }
    process().stop(SIGKILL);
    return id;
  }
  static std::vector<std::string> attached(const json& id) {
    Peer peer(socket());
    const auto answer = peer.call("document.attach", {{"document", id}});
    EXPECT_TRUE(answer.contains("result")) << answer;
    const auto read = peer.read_document(id);
    EXPECT_EQ(read.end["method"], "document.done") << read.end;
    return read.outputs;
  }
  static json status(const json& id) {
    return Peer(socket()).call("document.status", {{"document", id}})["result"];
  }
};

TEST_F(Files, GoOnByThemselvesAfterAKill) {
  const auto text = some_text(2000);
  write_file(path(), text);
  const auto expected = read_text(text).outputs;
  const auto id = killed_in_the_middle();
  start();
  EXPECT_EQ(attached(id), expected);
  EXPECT_EQ(status(id)["bytes"], text.size());
  EXPECT_THAT(log(), AllOf(HasSubstr(id.get<std::string>()), HasSubstr(path())));
}

TEST_F(Files, GoOnByThemselvesAfterAStop) {
  const auto text = some_text(2000);
  write_file(path(), text);
  const auto expected = read_text(text).outputs;
  start({{"drain_ms", 0}});
  Peer peer(socket());
  const auto id = open(peer);
  EXPECT_EQ(process().stop(SIGTERM), 0);
  EXPECT_EQ(peer.read_document(id).end["params"]["error"]["data"]["name"], "shutting_down");
  start();
  EXPECT_EQ(attached(id), expected);
}

TEST_F(Files, AreNotMistakenForOthers) {
  const auto text = some_text(2000);
  write_file(path(), text);
  const auto expected = read_text(text).outputs;
  const auto id = killed_in_the_middle();
  std::filesystem::rename(path(), path() + ".1");
  write_file(path(), std::string(text.size(), 'x'));
  start();
  EXPECT_THAT(log(), AllOf(HasSubstr("document " + id.get<std::string>() + " waits"), HasSubstr(path()),
                           HasSubstr("another file")));
  const auto waiting = status(id);
  EXPECT_EQ(waiting["phase"], "open");
  EXPECT_GT(waiting["resume_bytes"], 0);
  EXPECT_LT(waiting["resume_bytes"], text.size());
  // Its client still has it open.
  std::filesystem::rename(path() + ".1", path());
  Peer peer(socket());
  auto request = file_request();
  request["resume"] = id;
  const auto opened = peer.call("document.open", request, {open_text().get()})["result"];
  EXPECT_EQ(opened["resume_bytes"], waiting["resume_bytes"]);
  EXPECT_FALSE(status(id).contains("resume_bytes"));
  peer.read_document(id);
  EXPECT_EQ(attached(id), expected);
}

TEST_F(Files, ThatBecameShorterWait) {
  write_file(path(), some_text(2000));
  const auto id = killed_in_the_middle();
  std::filesystem::resize_file(path(), 10);
  start();
  EXPECT_THAT(log(), AllOf(HasSubstr("document " + id.get<std::string>() + " waits"), HasSubstr("shorter")));
  Peer peer(socket());
  auto request = file_request();
  request["resume"] = id;
  peer.call("document.open", request, {open_text().get()});
  EXPECT_EQ(peer.read_document(id).end["params"]["error"]["data"]["name"], "source");
}

/// Overwritten in place: the same inode, but other content.
TEST_F(Files, WhoseBytesChangedAreRefusedAndGoOnWithTheirOwn) {
  const auto text = some_text(2000);
  write_file(path(), text);
  const auto expected = read_text(text).outputs;
  const auto id = killed_in_the_middle();
  const auto put = [](std::size_t at, char byte) {
    std::fstream file(path(), std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at)).put(byte);
  };
  put(5, text[5] == 'x' ? 'y' : 'x');
  start();
  Peer peer(socket());
  peer.call("document.attach", {{"document", id}, {"from", 1 << 20}});
  const auto failed = peer.read_document(id).end["params"]["error"];
  EXPECT_EQ(failed["data"]["name"], "source") << failed;
  EXPECT_THAT(failed["message"].get<std::string>(),
              AllOf(HasSubstr(id.get<std::string>()), HasSubstr("are not those")));
  const auto waiting = status(id);
  ASSERT_TRUE(waiting.contains("resume_sha256")) << waiting;

  put(5, text[5]);
  auto request = file_request();
  request["resume"] = id;
  const auto opened = peer.call("document.open", request, {open_text().get()})["result"];
  EXPECT_EQ(opened["resume_sha256"], waiting["resume_sha256"]);
  EXPECT_EQ(peer.read_document(id).end["method"], "document.done");
  EXPECT_EQ(attached(id), expected);
}

/// The bytes before the resume point come through the pipe, too, in pieces.
TEST_F(Files, APipeWithOtherBytesIsRefused) {
  ::signal(SIGPIPE, SIG_IGN);  // the daemon closes its end
  const auto text = some_text(2000);
  write_file(path(), text);
  const auto expected = read_text(text).outputs;
  const auto id = killed_in_the_middle();
  std::filesystem::rename(path(), path() + ".1");
  start();
  auto request = file_request();
  request["resume"] = id;
  const auto read_pipe = [&](const std::string& bytes) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    UniqueFd out(ends[0]), in(ends[1]);
    Peer peer(socket());
    const auto answer = peer.call("document.open", request, {out.get()});
    EXPECT_TRUE(answer.contains("result")) << answer;
    out.reset();
    std::thread writer([&] {
      for (std::size_t at = 0; at < bytes.size(); at += 1000) {
        const auto piece = bytes.substr(at, 1000);
        if (::write(in.get(), piece.data(), piece.size()) < 0) break;
      }
      in.reset();
    });
    auto end = peer.read_document(id).end;
    writer.join();
    return end;
  };
  auto other = text;
  other[7] ^= 1;
  EXPECT_EQ(read_pipe(other)["params"]["error"]["data"]["name"], "source");
  EXPECT_EQ(read_pipe(text.substr(0, 20))["params"]["error"]["data"]["name"], "source") << "too short";
  EXPECT_EQ(read_pipe(text)["method"], "document.done");
  EXPECT_EQ(attached(id), expected);
}

TEST_F(Files, ThatWereCancelledStayCancelled) {
  write_file(path(), some_text(2000));
  Peer peer(socket());
  const auto id = open(peer);
  peer.call("document.cancel", {{"document", id}});
  peer.read_document(id);
  process().stop(SIGKILL);
  start();
  const auto now = status(id);
  EXPECT_EQ(now["error"]["data"]["name"], "cancelled") << now;
  EXPECT_TRUE(now.contains("resume_bytes")) << "its user may change their mind";
}

TEST_F(Files, AHundredNeedFewDescriptorsAndAreReadOnAfterTheirsWasClosed) {
  start({{"limits", {{"input_buffer_bytes", 4096}}}});
  const auto text = some_text(4000);  // more than one read returns
  write_file(path(), text);
  const auto expected = read_text(text).outputs;
  Peer first(socket());
  const auto id = open(first);
  {
    constexpr std::size_t kOthers = 100;
    Peer peer(socket());
    for (std::size_t i = 0; i < kOthers; ++i) open(peer);
    EXPECT_EQ(peer.call("server.stats", json::object())["result"]["open_documents"], kOthers + 1);
    EXPECT_EQ(descriptors_of(process().pid(), path()), 0u);
    const auto readers = source_readers();
    ASSERT_EQ(readers.size(), 1u);
    EXPECT_LT(descriptors_of(readers.front()), 64u + 8);
  }
  EXPECT_EQ(first.read_document(id).outputs, expected);
}

}  // namespace
}  // namespace unroll::test
