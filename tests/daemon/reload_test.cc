// server.reload, SIGHUP, and the messages to systemd meanwhile.
#include <cstdlib>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Reload : public DaemonCase {
 protected:
  void SetUp() override {
    if (!fs::exists(*folder_ / "first")) {
      fs::rename(*folder_ / "model", *folder_ / "first");
      write_tiny_model(*folder_ / "second", 8);
    }
    put_in_place("first");
    start();
  }
  /// As an administrator does: the new folder is complete before it gets its name.
  static void put_in_place(const std::string& model) {
    fs::remove_all(*folder_ / "next");
    fs::copy(*folder_ / model, *folder_ / "next");
    if (fs::exists(*folder_ / "model"))
      fs::rename(*folder_ / "model", *folder_ / ("old" + std::to_string(moved_++)));
    fs::rename(*folder_ / "next", *folder_ / "model");
  }
  static json stream_request() { return {{"plugins", scored()}, {"stream", true}}; }

  static inline int moved_ = 0;
};

TEST_F(Reload, UnderLoadAHundredDocumentsEndOnTheOldModelAndLaterOnesBeginOnTheNewOne) {
  const auto text = some_text(120);
  const auto half = text.size() / 2;
  const auto with_first = read_text(text).outputs;
  constexpr int kDocuments = 100;
  Peer old(socket());
  std::vector<std::string> ids;
  for (int i = 0; i < kDocuments; ++i) {
    ids.push_back(old.call("document.open", stream_request())["result"]["document"]);
    old.call("document.append", {{"document", ids.back()}, {"text", text.substr(0, half)}});
  }
  put_in_place("second");
  Peer admin(socket());
  const auto answer = admin.call("server.reload", json::object());
  EXPECT_EQ(answer["result"]["model"], admin.call("server.info", json::object())["result"]["model"])
      << answer;
  EXPECT_EQ(admin.call("server.stats", json::object())["result"]["revisions"], 2);
  const auto with_second = read_text(text).outputs;
  EXPECT_NE(with_second, with_first);
  for (const auto& id : ids) {
    old.call("document.append", {{"document", id}, {"text", text.substr(half)}});
    old.call("document.end", {{"document", id}});
  }
  const auto documents = old.read_documents(kDocuments);
  for (const auto& id : ids) {
    EXPECT_EQ(documents.at(id).end["method"], "document.done");
    EXPECT_EQ(documents.at(id).outputs, with_first);
  }
  EXPECT_EQ(admin.call("server.stats", json::object())["result"]["revisions"], 1);
}

TEST_F(Reload, AModelThatCannotBeLoadedChangesNothing) {
  const auto text = some_text(50);
  const auto before = read_text(text).outputs;
  put_in_place("second");
  fs::resize_file(*folder_ / "model" / "model.safetensors", 1000);
  Peer admin(socket());
  const auto answer = admin.call("server.reload", json::object());
  EXPECT_EQ(answer["error"]["data"]["name"], "model") << answer;
  EXPECT_THAT(log(), HasSubstr("not reloaded"));
  EXPECT_EQ(read_text(text).outputs, before);
}

TEST_F(Reload, SighupReloads) {
  Peer admin(socket());
  const auto before = admin.call("server.info", json::object())["result"]["model"]["checkpoint"];
  put_in_place("second");
  ::kill(process().pid(), SIGHUP);
  for (int tries = 0; tries < 500; ++tries) {
    if (admin.call("server.info", json::object())["result"]["model"]["checkpoint"] != before) break;
    ::poll(nullptr, 0, 20);
  }
  EXPECT_NE(admin.call("server.info", json::object())["result"]["model"]["checkpoint"], before);
}

/// A state belongs to the weights that made it: continuing with others would give wrong numbers.
TEST_F(Reload, ADocumentThatWaitsIsNotResumedOnAnotherModel) {
  const auto text = some_text(400);
  json resume = stream_request();
  {
    Peer peer(socket());
    const auto id = peer.call("document.open", stream_request())["result"]["document"];
    resume["resume"] = id;
    peer.call("document.append", {{"document", id}, {"text", text}});
    while (peer.call("document.status", {{"document", id}})["result"]["outputs"] < 100)
      ::poll(nullptr, 0, 20);
  }
  put_in_place("second");
  Peer peer(socket());
  peer.call("server.reload", json::object());
  json answer;
  for (int tries = 0; tries < 100; ++tries) {
    answer = peer.call("document.open", resume);
    if (answer["error"]["data"]["name"] != "document_state")
      break;  // the daemon has not noticed the disconnection yet
    ::poll(nullptr, 0, 20);
  }
  EXPECT_EQ(answer["error"]["data"]["name"], "model") << answer;
  put_in_place("first");
  peer.call("server.reload", json::object());
  EXPECT_TRUE(peer.call("document.open", resume).contains("result"));
}

/// The messages to systemd, on a socket of the test's own.
class Notified {
 public:
  explicit Notified(const fs::path& path) : path_(path), fd_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  }
  ~Notified() {
    ::close(fd_);
    fs::remove(path_);
  }
  Notified(const Notified&) = delete;
  Notified& operator=(const Notified&) = delete;
  /// Waits up to this long for a message with `text`; empty if there is none.
  std::string wait(const std::string& text, int milliseconds) {
    for (pollfd entry{fd_, POLLIN, 0}; ::poll(&entry, 1, milliseconds) > 0;) {
      std::string message(4096, '\0');
      message.resize(static_cast<std::size_t>(::recv(fd_, message.data(), message.size(), 0)));
      if (message.find(text) != std::string::npos) return message;
    }
    return "";
  }

 private:
  fs::path path_;
  int fd_;
};

TEST_F(Reload, SystemdHearsOfItsBeginningAndItsEnd) {
  Notified systemd(*folder_ / "notify");
  start(json::object(), {{"NOTIFY_SOCKET", (*folder_ / "notify").string()}});
  EXPECT_THAT(systemd.wait("READY=1", 10'000), HasSubstr("READY=1"));
  Peer(socket()).call("server.reload", json::object());
  EXPECT_THAT(systemd.wait("RELOADING=1", 10'000), HasSubstr("MONOTONIC_USEC="));
  EXPECT_THAT(systemd.wait("READY=1", 10'000), HasSubstr("READY=1"));
}

TEST_F(Reload, TheWatchdogIsFedWhileTheEngineGoesOn) {
  Notified systemd(*folder_ / "notify");
  start(json::object(), {{"NOTIFY_SOCKET", (*folder_ / "notify").string()}, {"WATCHDOG_USEC", "400000"}});
  for (int i = 0; i < 5; ++i) EXPECT_THAT(systemd.wait("WATCHDOG=1", 5'000), HasSubstr("WATCHDOG=1"));
}

}  // namespace
}  // namespace unroll::test
