// What survives a restart of the daemon: documents that are drained, stopped or killed in the middle.
#include <fcntl.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using Outputs = std::vector<std::string>;

class Resume : public DaemonCase {
 protected:
  static json stream_request() { return {{"plugins", scored()}, {"stream", true}}; }
  /// Everything in the journal about a document that has ended.
  static Outputs all_outputs(const json& id) {
    Peer peer(socket());
    peer.call("document.attach", {{"document", id}});
    return peer.read_document(id).outputs;
  }
};

TEST_F(Resume, KilledThreeTimesInTheMiddleOfItsWorkNothingIsLostAndNothingComesTwice) {
  const auto text = some_text(3500);
  write_file(*folder_ / "text", text);
  const auto expected = read_text(text).outputs;
  Outputs received;
  json id;
  for (int life = 0; life < 4; ++life) {
    start({{"journal", {{"commit_blocks", 2}}}});
    Peer peer(socket());
    const UniqueFd file(::open((*folder_ / "text").c_str(), O_RDONLY | O_CLOEXEC));
    const json request{{"plugins", scored()}, {"fd", true}};
    if (life == 0) {
      id = peer.call("document.open", request, {file.get()}).at("result").at("document");
    } else {  // the daemon has opened the file again by itself
      const auto status = peer.call("document.attach", {{"document", id}, {"from", received.size()}});
      ASSERT_EQ(status["result"]["phase"], "open") << status;
    }
    if (life == 3) {
      const auto last = peer.read_document(id);
      EXPECT_EQ(last.end["method"], "document.done");
      EXPECT_EQ(last.end["params"]["summary"]["bytes"], text.size());
      received.insert(received.end(), last.outputs.begin(), last.outputs.end());
      break;
    }
    for (int outputs = 0; outputs < 120;) {
      const auto message = peer.notification();
      ASSERT_NE(message["method"], "document.done") << "too short to be killed in its middle";
      if (message["method"] != "document.output") continue;
      ASSERT_EQ(message["params"]["sequence"], received.size());
      ++outputs;
      received.push_back(message["params"]["sequence"].dump() + " score " + message["params"]["data"].dump());
    }
    EXPECT_EQ(process().stop(SIGKILL), 128 + SIGKILL);
  }
  ASSERT_EQ(received.size(), expected.size());
  for (std::size_t i = 0; i < received.size(); ++i) {
    ASSERT_EQ(json::parse(received[i].substr(received[i].find('{'))),
              json::parse(expected[i].substr(expected[i].find('{'))));
  }
  EXPECT_EQ(all_outputs(id), expected) << "byte for byte";
}

TEST_F(Resume, WhileItDrainsOpenDocumentsGoOnAndNewOnesAreRefused) {
  start({{"drain_ms", 60'000}});
  const auto text = some_text(100);
  const auto expected = read_text(text).outputs;
  Peer peer(socket()), other(socket());
  other.call("server.ping", json::object());
  const auto id = peer.call("document.open", stream_request())["result"]["document"];
  const auto pid = peer.call("server.info", json::object())["result"]["pid"].get<pid_t>();
  ASSERT_EQ(::kill(pid, SIGTERM), 0);
  json refused;
  for (int tries = 0; tries < 3000 && !refused.contains("error"); ++tries) {
    refused = other.call("document.open", text_request("x\n"));
    if (refused.contains("result")) other.read_document(refused["result"]["document"]);
  }
  EXPECT_EQ(refused["error"]["data"]["name"], "shutting_down");
  EXPECT_THROW(Peer{socket()}, std::runtime_error) << "nobody else may come";
  peer.call("document.append", {{"document", id}, {"text", text}});
  peer.call("document.end", {{"document", id}});
  const auto read = peer.read_document(id);
  EXPECT_EQ(read.end["method"], "document.done");
  EXPECT_EQ(read.outputs, expected);
  EXPECT_EQ(peer.line(), std::nullopt);
  EXPECT_EQ(process().stop(0), 0);
}

TEST_F(Resume, WhatIsNotDoneInTimeIsCommittedAndGoesOnInTheNextDaemon) {
  const auto text = some_text(200);
  const auto expected = read_text(text).outputs;
  start({{"drain_ms", 50}});
  Peer peer(socket());
  const auto id = peer.call("document.open", stream_request())["result"]["document"];
  const auto half = text.substr(0, text.find('\n', text.size() / 2) + 1);
  peer.call("document.append", {{"document", id}, {"text", half}});
  // HTTP clients are notified, too.
  Peer http(socket());
  http.send("PUT /v1/score HTTP/1.1\r\nHost: u\r\nContent-Length: 10\r\n\r\nabc");
  while (peer.call("server.stats", json::object())["result"]["open_documents"] != 2) {
  }
  const auto pid = peer.call("server.info", json::object())["result"]["pid"].get<pid_t>();
  ASSERT_EQ(::kill(pid, SIGTERM), 0);
  const auto first = peer.read_document(id);
  EXPECT_EQ(first.end["params"]["error"]["data"]["name"], "shutting_down");
  EXPECT_EQ(peer.line(), std::nullopt);
  EXPECT_THAT(http.rest(), testing::HasSubstr("shutting_down"));  // as the status, or as the last line
  EXPECT_EQ(process().stop(0), 0);
  EXPECT_FALSE(std::filesystem::exists(socket()));

  start();
  Peer again(socket());
  auto request = stream_request();
  request["resume"] = id;
  const auto opened = again.call("document.open", request)["result"];
  EXPECT_GE(opened["next_sequence"].get<std::size_t>(), first.outputs.size());
  again.call("document.append", {{"document", id}, {"text", text.substr(opened["resume_bytes"])}});
  again.call("document.end", {{"document", id}});
  EXPECT_EQ(again.read_document(id).end["method"], "document.done");
  EXPECT_EQ(all_outputs(id), expected);
}

TEST_F(Resume, GoesOnInTheArithmeticThatWasMeasuredWhenItBegan) {
  const auto dtype = [] {
    return Peer(socket()).call("server.info", json::object())["result"]["model"]["dtype"].get<std::string>();
  };
  const auto file = *folder_ / "journal.arithmetic";
  auto speeds = json::parse(read_file(file));
  if (speeds["bf16"] == 0.0) GTEST_SKIP() << "this CPU has one arithmetic only";
  // As if measured on a machine on which the other type is faster.
  const bool bf16 = dtype() == "fp32";
  speeds["fp32"] = 1.0;
  speeds["bf16"] = bf16 ? 8.0 : 0.125;
  write_file(file, speeds.dump());
  start();
  ASSERT_EQ(dtype(), bf16 ? "bf16" : "fp32");
  const auto text = some_text(200);
  const auto expected = read_text(text).outputs;
  json id;
  {
    Peer peer(socket());
    id = peer.call("document.open", stream_request())["result"]["document"];
    peer.call("document.append", {{"document", id}, {"text", text.substr(0, text.size() / 2)}});
    while (peer.notification()["method"] != "document.output") {
    }
  }
  EXPECT_EQ(process().stop(SIGKILL), 128 + SIGKILL);
  start();
  EXPECT_EQ(dtype(), bf16 ? "bf16" : "fp32");
  Peer again(socket());
  auto request = stream_request();
  request["resume"] = id;
  const auto opened = again.call("document.open", request)["result"];
  ASSERT_GT(opened["resume_bytes"], 0);
  again.call("document.append", {{"document", id}, {"text", text.substr(opened["resume_bytes"])}});
  again.call("document.end", {{"document", id}});
  EXPECT_EQ(again.read_document(id).end["method"], "document.done");
  EXPECT_EQ(all_outputs(id), expected);
  std::filesystem::remove(file);  // the next daemon measures
}

TEST_F(Resume, OnlyWithTheSamePluginsAndOnlyWhatHasNotEnded) {
  Peer peer(socket());
  const auto open = peer.call("document.open", stream_request())["result"]["document"];
  const auto done = peer.call("document.open", text_request("x\n"))["result"]["document"];
  peer.read_document(done);
  const auto resume = [&](const json& id, json request) {
    request["resume"] = id;
    const auto answer = peer.call("document.open", request);
    return answer.contains("error") ? answer["error"]["data"]["name"].get<std::string>() : "opened";
  };
  EXPECT_EQ(resume(open, stream_request()), "document_state");
  EXPECT_EQ(resume(done, stream_request()), "document_state");
  EXPECT_EQ(resume(std::string(32, '0'), stream_request()), "document_unknown");
  process().stop(SIGKILL);
  start();
  peer = Peer(socket());
  EXPECT_EQ(resume(open, {{"plugins", scored("token")}, {"stream", true}}), "invalid_params");
  EXPECT_EQ(resume(open, {{"plugins", json::array({{{"name", "anomaly"}}})}, {"stream", true}}),
            "invalid_params");
  EXPECT_EQ(resume(open, stream_request()), "opened");
}

}  // namespace
}  // namespace unroll::test
