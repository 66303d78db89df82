// 2,000 inputs that no correct client sends, each on a connection of its own: every one is answered or
// closed, and afterwards the daemon is as before.
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include <fcntl.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

constexpr int kInputs = 2000;
constexpr int kWarmUp = 200;  // until then memory may grow: pools, caches, the journal's pages
constexpr long kSlackKilobytes = 4 * 1024;

class Malformed : public DaemonCase {
 protected:
  using Random = std::mt19937;

  static std::string good_request(Random& random) {
    const json open{{"plugins", scored()}, {"text", "The ship sank.\n"}};
    const std::vector<json> requests = {
        {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "document.open"}, {"params", open}},
        {{"jsonrpc", "2.0"},
         {"id", 5},
         {"method", "document.open"},
         {"params", {{"plugins", scored()}, {"fd", true}, {"priority", 1}, {"deadline_ms", 5000}}}},
        {{"jsonrpc", "2.0"},
         {"id", 6},
         {"method", "document.open"},
         {"params", {{"plugins", scored()}, {"stream", true}, {"name", "a"}, {"total_bytes", 7}}}},
        {{"jsonrpc", "2.0"}, {"id", "x"}, {"method", "document.status"}, {"params", {{"document", "ab"}}}},
        {{"jsonrpc", "2.0"},
         {"id", 2},
         {"method", "document.append"},
         {"params", {{"document", "ab"}, {"base64", "eA=="}}}},
        {{"jsonrpc", "2.0"},
         {"id", 3},
         {"method", "document.attach"},
         {"params", {{"document", "ab"}, {"from", 3}}}},
        {{"jsonrpc", "2.0"}, {"id", 4}, {"method", "server.info"}},
        {{"jsonrpc", "2.0"}, {"method", "document.cancel"}, {"params", {{"document", "ab"}}}}};
    return requests[random() % requests.size()].dump() + "\n";
  }
  static std::string good_http(Random& random) {
    static const std::vector<std::string> kRequests = {
        "PUT /v1/score?granularity=line HTTP/1.1\r\nHost: u\r\nContent-Length: 5\r\n\r\nship\n",
        "POST /v1/anomaly HTTP/1.1\r\nHost: u\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nship\n\r\n0\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: u\r\n\r\n", "GET /v1/documents HTTP/1.0\r\n\r\n"};
    return kRequests[random() % kRequests.size()];
  }
  static std::string random_bytes(Random& random, std::size_t most) {
    std::string bytes(random() % most + 1, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  }
  /// Flips bits, removes, duplicates or inserts pieces, makes numbers huge.
  static std::string damage(std::string bytes, Random& random) {
    for (auto times = random() % 4 + 1; times > 0; --times) {
      if (bytes.empty()) return bytes;
      const auto at = random() % bytes.size();
      switch (random() % 6) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
          break;
        case 1:
          bytes.erase(at, random() % 20 + 1);
          break;
        case 2:
          bytes.insert(at, random_bytes(random, 20));
          break;
        case 3:
          bytes.insert(at, bytes.substr(at, random() % 40));
          break;
        case 4:
          bytes.insert(at, std::to_string(random()) + std::to_string(random()) + "e9999");
          break;
        case 5:
          bytes.resize(at);
          break;
      }
    }
    return bytes;
  }
  /// Replaces one value of a good request with one of another type.
  static std::string wrong_type(Random& random) {
    auto request = json::parse(good_request(random));
    static const std::vector<json> kValues = {nullptr,
                                              true,
                                              -1,
                                              1e300,
                                              "",
                                              json::array(),
                                              json::object(),
                                              0.5,
                                              std::string(70'000, 'a'),
                                              json::array({json::array()})};
    json* place = &request;
    for (auto depth = random() % 3 + 1; depth > 0 && place->is_structured() && !place->empty(); --depth) {
      auto found = place->begin();
      std::advance(found, random() % place->size());
      place = &*found;
    }
    *place = kValues[random() % kValues.size()];
    return request.dump() + "\n";
  }
  static std::string special(Random& random) {
    const auto depth = random() % 200'000;
    switch (random() % 9) {
      case 0:
        return std::string(depth, '[') + "\n";
      case 1:
        return "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.ping\",\"params\":" +
               std::string(depth, '{') + "\n";
      case 2:
        return std::string(depth, ' ') + "\n\n\n";
      case 3:
        return "PUT /v1/score HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nx";
      case 4:
        return "PUT /v1/score HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef";
      case 5:
        return "PUT /v1/score HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
      case 6:
        return "POST /v1/score HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx";
      case 7:
        return "GET /" + std::string(depth % 40'000, '%') + " HTTP/1.1\r\nHost: u\r\n\r\n";
      default:
        return random_bytes(random, 5000);
    }
  }
  static std::string input(Random& random) {
    switch (random() % 5) {
      case 0:
        return damage(good_request(random), random);
      case 1:
        return damage(good_http(random), random);
      case 2:
        return wrong_type(random);
      case 3:
        return good_request(random).substr(0, 10) + random_bytes(random, 300);
      default:
        return special(random);
    }
  }

  static long kilobytes_resident(const json& pid) {
    std::ifstream status("/proc/" + pid.dump() + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
    }
    return -1;
  }
  /// Waits until every other connection and every document is gone, a moment after their last byte.
  static std::size_t open_descriptors(const json& pid) {
    Peer peer(socket());
    json stats;
    for (int tries = 0; tries < 500; ++tries) {
      stats = peer.call("server.stats", json::object())["result"];
      if (stats["connections"] == 1 && stats["open_documents"] == 0) break;
      ::poll(nullptr, 0, 10);
    }
    EXPECT_EQ(stats["connections"], 1);
    EXPECT_EQ(stats["open_documents"], 0);
    const std::filesystem::directory_iterator entries("/proc/" + pid.dump() + "/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
  }
  /// The answers, as HTTP or lines of JSON-RPC; nothing if the daemon only closed.
  static void expect_an_answer(const std::string& answer) {
    if (answer.starts_with("HTTP/1.")) return;
    std::istringstream lines(answer);
    for (std::string line; std::getline(lines, line);) {
      const auto message = json::parse(line, nullptr, false);
      ASSERT_TRUE(message.is_object() && message.value("jsonrpc", "") == "2.0") << line;
    }
    EXPECT_TRUE(answer.empty() || answer.back() == '\n') << answer;
  }
};

TEST_F(Malformed, EveryInputIsAnsweredOrClosedAndTheDaemonIsWhatItWas) {
  const auto text = some_text(50);
  const auto expected = read_text(text).outputs;
  const auto pid = Peer(socket()).call("server.info", json::object())["result"]["pid"];
  Random random(20);
  write_file(*folder_ / "file", text);
  const UniqueFd file(::open((*folder_ / "file").c_str(), O_RDONLY | O_CLOEXEC));
  long kilobytes = 0;
  std::size_t descriptors = 0;
  int answered = 0;
  for (int i = 0; i < kInputs; ++i) {
    if (i == kWarmUp) {
      descriptors = open_descriptors(pid);
      kilobytes = kilobytes_resident(pid);
    }
    const auto bytes = input(random);
    Peer peer(socket());
    // Some with a descriptor, expected or not, or with too many.
    const auto beside = random() % 6;
    peer.send(bytes, std::vector<int>(beside == 0 ? random() % 20 + 1 : beside == 1 ? 1 : 0, file.get()));
    peer.close_sending();
    std::string answer;
    ASSERT_NO_THROW(answer = peer.rest()) << "input " << i << " is neither answered nor closed";
    ASSERT_TRUE(process().running()) << "input " << i << " ended the daemon: " << log();
    expect_an_answer(answer);
    answered += answer.empty() ? 0 : 1;
  }
  EXPECT_GT(answered, kInputs / 2);
  EXPECT_EQ(read_text(text).outputs, expected);
  EXPECT_EQ(open_descriptors(pid), descriptors);
#if !defined(__SANITIZE_ADDRESS__)  // it keeps freed memory for a while, and checks for leaks itself
  EXPECT_LT(kilobytes_resident(pid) - kilobytes, kSlackKilobytes);
#endif
  RecordProperty("answered", answered);
  RecordProperty("kilobytes", static_cast<int>(kilobytes_resident(pid) - kilobytes));
}

// If the daemon kept the peer's end, this would wait forever for the end of the connection.
TEST_F(Malformed, AConnectionThatIsSentAlongItselfEndsWithItsPeer) {
  start({{"limits", {{"request_timeout_ms", 200}}}});
  const auto pid = Peer(socket()).call("server.info", json::object())["result"]["pid"];
  const auto before = open_descriptors(pid);
  for (const auto* begin_of_line : {" ", R"({"jsonrpc":)"}) {
    Peer peer(socket());
    peer.send(begin_of_line, {peer.descriptor()});
  }
  {
    Peer never_reads(socket());
    std::string requests;
    for (int i = 0; i < 300; ++i)
      requests += R"({"jsonrpc":"2.0","id":1,"method":"rpc.discover"})"
                  "\n";
    never_reads.send(requests, {never_reads.descriptor()});
  }
  {
    Peer peer(socket()), other(socket());
    const json request = {{"plugins", scored()}, {"fd", true}};
    for (const auto* end : {&peer, &other}) {
      const auto answer = peer.call("document.open", request, {end->descriptor()});
      ASSERT_TRUE(answer.contains("error")) << answer;
      EXPECT_EQ(answer["error"]["data"]["name"], "source");
      EXPECT_THAT(answer["error"]["message"], testing::HasSubstr("a connection to this daemon"));
    }
  }
  EXPECT_LE(open_descriptors(pid), before + 2) << "the processes that hold descriptors have a socket each";
}

}  // namespace
}  // namespace unroll::test
