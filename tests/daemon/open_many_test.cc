// document.open_many: many texts in one request.
#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;

class OpenMany : public DaemonCase {};

TEST_F(OpenMany, EachTextIsADocumentOfThisConnection) {
  json texts = json::array();
  for (std::size_t i = 0; i < 100; ++i) texts.push_back(some_text(i % 17));
  Peer peer(socket());
  const auto answer =
      peer.call("document.open_many", {{"texts", texts}, {"plugins", scored()}, {"name", "many"}});
  const auto& opened = answer.at("result").at("documents");
  ASSERT_EQ(opened.size(), texts.size());
  const auto documents = peer.read_documents(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto& document = documents.at(opened[i].at("document"));
    EXPECT_EQ(document.end["method"], "document.done");
    if (i < 17) {
      EXPECT_EQ(document.outputs, read_text(texts[i]).outputs);
    } else {
      EXPECT_EQ(document.outputs, documents.at(opened[i % 17].at("document")).outputs);
    }
  }
  const auto status = peer.call("document.status", {{"document", opened[99]["document"]}})["result"];
  EXPECT_EQ(status["name"], "many");
  EXPECT_EQ(status["total_bytes"], texts[99].get<std::string>().size());
}

TEST_F(OpenMany, WhatIsRefusedIsNamedAndTheOthersAreRead) {
  start({{"limits", {{"document_bytes", 1000}, {"documents_per_connection", 5}}}});
  Peer peer(socket());
  const auto many = [&](const json& texts) {
    return peer.call("document.open_many", {{"plugins", scored()}, {"texts", texts}});
  };
  const auto opened = many({"one\n", std::string(2000, 'x'), "three\n"})["result"]["documents"];
  ASSERT_EQ(opened.size(), 3u);
  EXPECT_EQ(opened[1]["error"]["data"]["limit"], "limits.document_bytes");
  const auto documents = peer.read_documents(2);
  EXPECT_EQ(documents.at(opened[0]["document"]).outputs, read_text("one\n").outputs);
  EXPECT_EQ(documents.at(opened[2]["document"]).outputs, read_text("three\n").outputs);
  const auto refused = many(json::array({"1", "2", "3", "4", "5", "6"}));
  EXPECT_EQ(refused["error"]["data"]["limit"], "limits.documents_per_connection");
  EXPECT_EQ(many(json::array({"1", "2", "3", "4", "5"}))["result"]["documents"].size(), 5u);
  peer.read_documents(5);
  for (const json& texts :
       {json::array(), json::array({1}), json("x"), json(std::vector<std::string>(1001))}) {
    const auto answer = many(texts);
    EXPECT_EQ(answer["error"]["data"]["name"], "invalid_params");
    EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr("'texts'"));
  }
}

}  // namespace
}  // namespace unroll::test
