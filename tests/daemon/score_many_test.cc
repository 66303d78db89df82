// POST /v1/score_many.
#include <sstream>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ScoreMany : public DaemonCase {
 protected:
  /// HTTP/1.0: the rows are not in chunks, and their end is that of the connection.
  static std::string answer(const std::string& lines, const std::string& query = "") {
    return http(socket(), "POST /v1/score_many" + query + " HTTP/1.0\r\nContent-Length: " +
                              std::to_string(lines.size()) + "\r\n\r\n" + lines);
  }
  static std::vector<json> rows(const std::string& body) {
    const auto whole = answer(body);
    EXPECT_THAT(whole, StartsWith("HTTP/1.0 200"));
    std::istringstream lines(whole.substr(whole.find("\r\n\r\n") + 4));
    std::vector<json> rows;
    for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line));
    return rows;
  }
  static double bits_per_byte(const std::string& text) {
    Peer peer(socket());
    const json plugins = {{{"name", "score"}, {"options", {{"granularity", "document"}, {"top", 0}}}}};
    const auto opened = peer.call("document.open", {{"plugins", plugins}, {"text", text}});
    const auto output = peer.read_document(opened.at("result").at("document")).outputs.back();
    return json::parse(output.substr(output.find('{')))["bits_per_byte"];
  }
};

TEST_F(ScoreMany, EveryLineGetsARowInOrderWithWhatItsTextAloneGives) {
  std::string lines;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 90; ++i) {
    texts.push_back(some_text(1 + i * 37 % 60));
    lines += json({{"text", texts.back()}, {"id", "d" + std::to_string(i)}}).dump() + "\n";
    if (i % 10 == 0) lines += " \r\n";
  }
  const auto found = rows(lines);
  ASSERT_EQ(found.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(found[i]["id"], "d" + std::to_string(i));
    EXPECT_EQ(found[i]["bytes"], texts[i].size());
    EXPECT_GT(found[i]["tokens"], 0);
    if (i % 30 == 0) {
      EXPECT_EQ(found[i]["bits_per_byte"], bits_per_byte(texts[i]));
    }
  }
}

TEST_F(ScoreMany, ALineThatIsNoDocumentHasItsErrorAsARow) {
  const auto found = rows(R"({"text":"one"})"
                          "\n{\"text\":\n[1]\n{\"text\":5,\"id\":7}\n{\"text\":\"\"}\n"
                          R"({"text":"without a line end","id":null})");
  ASSERT_EQ(found.size(), 6u);
  EXPECT_EQ(found[0]["id"], 1);
  EXPECT_TRUE(found[0]["bits_per_byte"].is_number());
  EXPECT_THAT(found[1]["error"]["message"].get<std::string>(), HasSubstr("line 2"));
  EXPECT_THAT(found[2]["error"]["message"].get<std::string>(), HasSubstr("not an object"));
  EXPECT_EQ(found[3]["id"], 7);
  EXPECT_THAT(found[3]["error"]["message"].get<std::string>(), HasSubstr("\"text\""));
  EXPECT_EQ(found[4], (json{{"id", 5}, {"tokens", 0}, {"bytes", 0}, {"bits_per_byte", nullptr}}));
  EXPECT_EQ(found[5]["id"], nullptr);
  EXPECT_EQ(found[5]["bytes"], 18);
}

/// As spaces before the next row: clients give up if nothing comes.
TEST_F(ScoreMany, SaysSomethingWhileThereIsNoRow) {
  Peer peer(socket());
  ASSERT_TRUE(peer.send("POST /v1/score_many HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
  for (int seen = 0; seen < 2;) seen += peer.line() == " \r" ? 1 : 0;
}

TEST_F(ScoreMany, RowsComeWhileLinesAreSent) {
  Peer peer(socket());
  ASSERT_TRUE(peer.send("POST /v1/score_many HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
  for (int i = 0; i < 3; ++i) {
    const auto line = R"({"text":"some words","id":)" + std::to_string(i) + "}\n";
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", line.size());
    ASSERT_TRUE(peer.send(size + line + "\r\n"));
    for (auto row = peer.line();; row = peer.line()) {
      ASSERT_TRUE(row);
      if (row->starts_with("{")) {
        EXPECT_EQ(json::parse(*row)["id"], i);
        break;
      }
    }
  }
  ASSERT_TRUE(peer.send("0\r\n\r\n"));
  for (auto line = peer.line(); line && *line != "0\r"; line = peer.line()) {
  }
  // The connection takes another request.
  ASSERT_TRUE(peer.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  EXPECT_THAT(peer.rest(), HasSubstr("HTTP/1.1 200"));
}

TEST_F(ScoreMany, NothingIsKeptOfWhatWasRead) {
  rows(R"({"text":"one"})"
       "\n"
       R"({"text":"two"})");
  Peer peer(socket());
  for (int tries = 0; !peer.call("document.list", json::object())["result"]["documents"].empty(); ++tries) {
    ASSERT_LT(tries, 1500);
    ::poll(nullptr, 0, 20);
  }
}

TEST_F(ScoreMany, WhatIsReadEndsWithItsClient) {
  {
    Peer peer(socket());
    std::string lines;
    for (int i = 0; i < 20; ++i) lines += json({{"text", some_text(4000)}}).dump() + "\n";
    peer.send("POST /v1/score_many HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + lines);
    peer.line();
  }
  Peer peer(socket());
  const auto open = [&] {
    std::size_t count = 0;
    const auto list = peer.call("document.list", json::object());
    for (const auto& document : list.at("result").at("documents"))
      if (document["phase"] == "open" || document["phase"] == "finishing") ++count;
    return count;
  };
  for (int tries = 0; open() > 0; ++tries) {
    ASSERT_LT(tries, 1500) << "its documents are still read";
    ::poll(nullptr, 0, 20);
  }
}

TEST_F(ScoreMany, RefusesWhatItCannotRead) {
  EXPECT_THAT(answer("{}", "?model=none"), StartsWith("HTTP/1.0 404"));
  EXPECT_THAT(answer("{}", "?top=5"), testing::AllOf(HasSubstr("HTTP/1.0 400"), HasSubstr("'top'")));
  EXPECT_THAT(http(socket(), "GET /v1/score_many HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              testing::AllOf(HasSubstr("HTTP/1.1 405"), HasSubstr("Allow: POST")));
  const auto long_line = rows(json({{"text", std::string(std::size_t{5} << 20, 'x')}}).dump());
  ASSERT_EQ(long_line.size(), 1u);
  EXPECT_THAT(long_line[0]["failed"]["message"].get<std::string>(), HasSubstr("4 MiB"));
}

}  // namespace
}  // namespace unroll::test
