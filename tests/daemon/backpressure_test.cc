// Writers that are faster than the model, and readers that do not read: they wait, and nobody else does.
#include <algorithm>
#include <array>
#include <functional>

#include <fcntl.h>
#include <unistd.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

constexpr std::size_t kInputBytes = 16 * 1024;
/// Bytes that may lie between a writer and the model: the kernel's socket (about 200 KiB) or pipe, bytes that
/// the daemon has received but not processed, and two pieces of a document.
constexpr std::size_t kBetween = 512 * 1024;

class Backpressure : public DaemonCase {
 protected:
  void SetUp() override {
    start({{"limits", {{"input_buffer_bytes", kInputBytes}, {"outgoing_bytes", 65'536}}}});
  }
  static std::size_t read_bytes(Peer& peer, const json& id) {
    return peer.call("document.status", {{"document", id}}).at("result").at("bytes");
  }
  static std::size_t resident(Peer& peer) {
    return peer.call("server.stats", json::object()).at("result").at("resident_bytes");
  }
  /// Writes with `write`, which returns how many bytes of the document it wrote without waiting, until the
  /// model has read `enough` of them, and checks how far it is ahead. Meanwhile other clients are served.
  static void write_ahead(const json& id, const std::function<std::size_t()>& write) {
    constexpr std::size_t kEnough = 64 * 1024;
    const auto text = some_text(20);
    const auto expected = read_text(text).outputs;
    Peer watcher(socket());
    const auto memory = resident(watcher);
    std::size_t written = 0, read = 0, most = 0;
    bool waited = false;
    while (read < kEnough) {
      for (std::size_t count = write(); count > 0; count = write()) {
        written += count;
        ASSERT_LT(written, 64u << 20) << "it takes everything";
      }
      waited = true;
      ASSERT_EQ(read_text(text).outputs, expected);
      read = read_bytes(watcher, id);
      most = std::max(most, written - read);
    }
    EXPECT_TRUE(waited);
    EXPECT_LT(most, kBetween);
    EXPECT_LT(resident(watcher), memory + (32u << 20));
  }
};

TEST_F(Backpressure, SlowsAWriterThatPipelinesItsAppends) {
  Peer peer(socket());
  const auto id =
      peer.call("document.open", {{"plugins", scored("document")}, {"stream", true}})["result"]["document"];
  const auto piece = some_text(200);
  // It waits neither for answers nor for anything else.
  const auto line = json({{"jsonrpc", "2.0"},
                          {"method", "document.append"},
                          {"params", {{"document", id}, {"text", piece}}}})
                        .dump() +
                    "\n";
  std::string rest;
  write_ahead(id, [&] {
    if (rest.empty()) rest = line;
    const auto sent = peer.send_some(rest);
    rest.erase(0, sent);
    return sent;
  });
}

TEST_F(Backpressure, SlowsAPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  UniqueFd reading(ends[0]), writing(ends[1]);
  ::fcntl(writing.get(), F_SETFL, O_NONBLOCK);
  Peer peer(socket());
  const auto id = peer.call("document.open", {{"plugins", scored("document")}, {"fd", true}},
                            {reading.get()})["result"]["document"];
  const auto piece = some_text(200);
  write_ahead(id, [&] {
    const auto count = ::write(writing.get(), piece.data(), piece.size());
    return count < 0 ? std::size_t{0} : static_cast<std::size_t>(count);
  });
}

TEST_F(Backpressure, OneWhoReadsNothingOfManyDocumentsCostsLittleAndGetsAllOfThem) {
  constexpr std::size_t kDocuments = 12;
  const json request{{"plugins", scored("token")}, {"text", some_text(500)}};
  Peer alone(socket());
  const auto first = alone.call("document.open", request)["result"]["document"];
  const auto expected = alone.read_document(first).outputs;

  Peer slow(socket()), watcher(socket());
  const auto memory = resident(watcher);
  std::string lines;
  for (std::size_t i = 0; i < kDocuments; ++i) {
    lines += json({{"jsonrpc", "2.0"}, {"method", "document.open"}, {"params", request}}).dump() + "\n";
  }
  slow.send(lines);
  const auto before =
      watcher.call("server.stats", json::object())["result"]["documents_done"].get<std::size_t>();
  for (int tries = 0; tries < 3000; ++tries) {
    const auto stats = watcher.call("server.stats", json::object())["result"];
    if (stats["documents_done"].get<std::size_t>() >= before + kDocuments - 1 && stats["open_documents"] == 0)
      break;
    ::poll(nullptr, 0, 10);
  }
  EXPECT_EQ(watcher.call("server.stats", json::object())["result"]["open_documents"], 0)
      << "it held up the model";
  EXPECT_LT(resident(watcher), memory + (32u << 20));
  const auto documents = slow.read_documents(kDocuments);
  EXPECT_EQ(documents.size(), kDocuments);
  for (const auto& [id, document] : documents) EXPECT_EQ(document.outputs, expected);
}

}  // namespace
}  // namespace unroll::test
