// unrolld as its clients see it: the same document in every way, many at once, and after a kill.
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::SizeIs;
using testing::StartsWith;

class DaemonTest : public DaemonCase {};

TEST_F(DaemonTest, TextDescriptorStreamAndPipeGiveTheSameOutputs) {
  const auto text = some_text(300);
  const auto expected = read_text(text);
  EXPECT_EQ(expected.end["method"], "document.done");
  EXPECT_EQ(expected.end["params"]["summary"]["bytes"], text.size());
  EXPECT_THAT(expected.outputs, SizeIs(301));

  Peer peer(socket());
  write_file(*folder_ / "text", text);
  UniqueFd file(::open((*folder_ / "text").c_str(), O_RDONLY | O_CLOEXEC));
  auto id =
      peer.call("document.open", {{"plugins", scored()}, {"fd", true}}, {file.get()})["result"]["document"];
  file.reset();
  EXPECT_EQ(peer.read_document(id).outputs, expected.outputs);

  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  id = peer.call("document.open", {{"plugins", scored()}, {"fd", 0}}, {read_end.get()})["result"]["document"];
  read_end.reset();
  std::thread writer([&] {
    for (std::size_t i = 0; i < text.size(); i += 100) {
      ASSERT_GT(::write(write_end.get(), text.data() + i, std::min<std::size_t>(100, text.size() - i)), 0);
    }
    write_end.reset();
  });
  EXPECT_EQ(peer.read_document(id).outputs, expected.outputs);
  writer.join();

  id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', std::min(begin + 1000, text.size() - 1)) + 1;
    const auto answer =
        peer.call("document.append", {{"document", id}, {"text", text.substr(begin, end - begin)}});
    ASSERT_TRUE(answer.contains("result")) << answer;
    begin = end;
  }
  peer.call("document.end", {{"document", id}});
  EXPECT_EQ(peer.read_document(id).outputs, expected.outputs);
}

TEST_F(DaemonTest, Base64TakesAnyBytes) {
  Peer peer(socket());
  const auto id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  // FF 00 0A 41, then nothing.
  EXPECT_EQ(peer.call("document.append", {{"document", id}, {"base64", "/wAKQQ=="}})["result"],
            json::object());
  EXPECT_EQ(peer.call("document.append", {{"document", id}, {"base64", ""}})["result"], json::object());
  peer.call("document.end", {{"document", id}});
  EXPECT_EQ(peer.read_document(id).end["params"]["summary"]["bytes"], 4);
}

TEST_F(DaemonTest, ManyPeersAtOnceEachGetTheirOwn) {
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> expected;
  for (int i = 0; i < 12; ++i) {
    texts.push_back(some_text(20 + 13 * i));
    expected.push_back(read_text(texts.back()).outputs);
  }
  std::vector<std::thread> peers;
  for (int i = 0; i < 12; ++i) {
    peers.emplace_back([&, i] { EXPECT_EQ(read_text(texts[i]).outputs, expected[i]) << i; });
  }
  for (auto& peer : peers) peer.join();
}

TEST_F(DaemonTest, StatusListAttachAndCancel) {
  Peer peer(socket()), other(socket());
  const auto opened = peer.call("document.open", {{"plugins", scored()}, {"stream", true}, {"name", "Moby"}});
  const auto id = opened["result"]["document"];
  EXPECT_EQ(opened["result"]["resume_bytes"], 0);
  auto status = other.call("document.status", {{"document", id}})["result"];
  EXPECT_EQ(status["phase"], "open");
  EXPECT_EQ(status["name"], "Moby");
  EXPECT_THAT(other.call("document.list", json::object())["result"]["documents"].dump(), HasSubstr(id));
  peer.call("document.append", {{"document", id}, {"text", some_text(100)}});
  EXPECT_EQ(other.call("document.cancel", {{"document", id}})["result"], json::object());
  const auto end = peer.read_document(id).end;
  EXPECT_EQ(end["method"], "document.failed");
  EXPECT_EQ(end["params"]["error"]["data"]["name"], "cancelled");

  const auto text = some_text(100);
  const auto done = peer.call("document.open", text_request(text))["result"]["document"];
  const auto outputs = peer.read_document(done).outputs;
  EXPECT_EQ(other.call("document.attach", {{"document", done}, {"from", 90}})["result"]["phase"], "done");
  EXPECT_EQ(other.read_document(done).outputs, std::vector(outputs.begin() + 90, outputs.end()));
}

TEST_F(DaemonTest, ServerMethods) {
  Peer peer(socket());
  const auto info = peer.call("server.info", json::object())["result"];
  EXPECT_EQ(info["protocol"], 1);
  EXPECT_EQ(info["model"]["num_tokens"], 8192);
  EXPECT_THAT(info["plugins"], SizeIs(6));
  peer.call("document.open", text_request("hello\n"));
  peer.notification();
  const auto stats = peer.call("server.stats", json::object())["result"];
  EXPECT_EQ(stats["connections"], 1);
  EXPECT_GT(stats["resident_bytes"], 1 << 20);
}

TEST_F(DaemonTest, AHalfClosedConnectionHearsOfItsDocumentsToTheEnd) {
  Peer peer(socket());
  const auto id = peer.call("document.open", text_request(some_text(200)))["result"]["document"];
  peer.close_sending();
  EXPECT_EQ(peer.read_document(id).end["method"], "document.done");
  EXPECT_EQ(peer.line(), std::nullopt);
}

TEST_F(DaemonTest, HttpGivesTheSameOutputs) {
  const auto text = some_text(120);
  const auto expected = read_text(text);
  const auto length = "PUT /v1/score?granularity=line HTTP/1.1\r\nHost: unroll\r\nContent-Length: " +
                      std::to_string(text.size()) + "\r\n\r\n" + text;
  std::string chunked =
      "POST /v1/score?granularity=line HTTP/1.1\r\nHost: unroll\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t i = 0; i < text.size(); i += 256) {
    const auto piece = text.substr(i, 256);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    chunked += size + piece + "\r\n";
  }
  chunked += "0\r\n\r\n";
  for (const auto& request : {length, chunked}) {
    const auto answer = http(socket(), request);
    ASSERT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("X-Unroll-Document: "));
    std::size_t found = 0;
    for (const auto& output : expected.outputs) {
      const auto data = output.substr(output.find('{'));
      found += json::parse(data).is_object() && answer.find(data) != std::string::npos ? 1 : 0;
    }
    EXPECT_EQ(found, expected.outputs.size());
    EXPECT_THAT(answer, HasSubstr("{\"done\":"));
  }
}

TEST_F(DaemonTest, HttpRefusesWhatItDoesNotHave) {
  EXPECT_THAT(http(socket(), "GET /healthz HTTP/1.1\r\nHost: u\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("ok")));
  EXPECT_THAT(http(socket(), "GET /v1/documents HTTP/1.1\r\nHost: u\r\n\r\n"), HasSubstr("\"documents\":["));
  EXPECT_THAT(http(socket(), "GET /none HTTP/1.1\r\nHost: u\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(http(socket(), "GET /v1/score HTTP/1.1\r\nHost: u\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: ")));
  EXPECT_THAT(http(socket(), "PUT /v1/nothing HTTP/1.1\r\nHost: u\r\nContent-Length: 1\r\n\r\nx"),
              AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("plugin_unknown")));
  EXPECT_THAT(
      http(socket(), "PUT /v1/score?granularity=word HTTP/1.1\r\nHost: u\r\nContent-Length: 1\r\n\r\nx"),
      AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("granularity")));
  EXPECT_THAT(http(socket(), "GET /" + std::string(20000, 'a') + " HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
}

TEST_F(DaemonTest, MetricsAreInPrometheusForm) {
  read_text("hello\n");
  const auto answer = http(socket(), "GET /metrics HTTP/1.1\r\nHost: u\r\n\r\n");
  ASSERT_THAT(answer, StartsWith("HTTP/1.1 200"));
  std::istringstream lines(answer.substr(answer.find("\r\n\r\n") + 4));
  std::string text;
  int samples = 0;
  while (std::getline(lines, text)) {
    if (text.starts_with("# ")) continue;
    EXPECT_THAT(text, testing::MatchesRegex("(unroll|process)_[a-z_]+(\\{.*\\})? [-+.e0-9]+")) << text;
    ++samples;
  }
  EXPECT_GT(samples, 8);
}

TEST_F(DaemonTest, SigtermDrainsAndEndsCleanly) {
  Peer peer(socket());
  const auto id = peer.call("document.open", text_request(some_text(500)))["result"]["document"];
  std::thread reader([&] { EXPECT_EQ(peer.read_document(id).end["method"], "document.done"); });
  EXPECT_EQ(process().stop(SIGTERM), 0);
  reader.join();
  EXPECT_FALSE(std::filesystem::exists(socket()));
  EXPECT_THAT(log(), testing::Not(HasSubstr("whale"))) << "no document's text in the log";
}

// The socket exists before there is a server that could be notified of it.
TEST_F(DaemonTest, SigtermWhileItLoadsTheModelEndsItCleanly) {
  EXPECT_EQ(process().stop(SIGTERM), 0);
  Process starting({program("unrolld").string(), "--socket", socket(), "--model",
                    (*folder_ / "model").string(), "--journal", ":memory:"},
                   *folder_ / "starting.log");
  while (starting.running() && !std::filesystem::exists(socket())) ::poll(nullptr, 0, 1);
  EXPECT_EQ(starting.stop(SIGTERM), 0) << read_file(*folder_ / "starting.log");
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(DaemonTest, AfterAKillADocumentGoesOnAndItsOutputsAreThoseOfAnUndisturbedRun) {
  const auto text = some_text(600);
  const auto expected = read_text(text).outputs;
  for (const std::size_t before : {0u, 3000u, 9000u}) {
    start({{"journal", {{"commit_blocks", 3}}}});
    json id;
    {
      Peer peer(socket());
      id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
      if (before > 0) {
        peer.call("document.append", {{"document", id}, {"text", text.substr(0, before)}});
        while (peer.notification()["method"] != "document.output") {
        }
      }
      process().stop(SIGKILL);
    }
    start();
    Peer peer(socket());
    const auto opened =
        peer.call("document.open", {{"plugins", scored()}, {"stream", true}, {"resume", id}})["result"];
    EXPECT_EQ(opened["next_sequence"] > 0, before > 0) << "what was delivered is committed";
    const std::size_t from = opened["resume_bytes"];
    peer.call("document.append", {{"document", id}, {"text", text.substr(from)}});
    peer.call("document.end", {{"document", id}});
    EXPECT_EQ(peer.read_document(id).end["method"], "document.done");
    Peer reader(socket());
    reader.call("document.attach", {{"document", id}});
    EXPECT_EQ(reader.read_document(id).outputs, expected) << "killed after " << before << " bytes";
  }
}

}  // namespace
}  // namespace unroll::test
