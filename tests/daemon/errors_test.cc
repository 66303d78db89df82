// Each error says what is wrong and what to do, and the daemon keeps serving.
#include <fcntl.h>
#include <sys/resource.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DaemonErrors : public DaemonCase {
 protected:
  /// After whatever a test did, a good document is read.
  void TearDown() override {
    if (process().running()) {
      EXPECT_EQ(read_text("good\n").end["method"], "document.done");
    }
    DaemonCase::TearDown();
  }
  static void expect_error(const json& answer, const std::string& name, const std::string& text) {
    ASSERT_TRUE(answer.contains("error")) << answer;
    EXPECT_EQ(answer["error"]["data"]["name"], name) << answer;
    EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr(text));
    EXPECT_FALSE(answer["error"]["data"]["advice"].get<std::string>().empty());
  }
  static json open(const json& params, const std::vector<int>& descriptors = {}) {
    return Peer(socket()).call("document.open", params, descriptors);
  }
};

TEST_F(DaemonErrors, UnknownNames) {
  auto request = text_request("x");
  request["plugins"][0]["name"] = "sc0re";
  expect_error(open(request), "plugin_unknown", "sc0re");
  request = text_request("x");
  request["plugins"][0]["options"] = {{"granularity", "word"}};
  expect_error(open(request), "invalid_params", "granularity");
  request = text_request("x");
  request["colour"] = 1;
  expect_error(open(request), "invalid_params", "colour");
  Peer peer(socket());
  expect_error(peer.call("document.read", json::object()), "method_not_found", "document.read");
  expect_error(peer.call("document.status", {{"document", "0123"}}), "document_unknown", "0123");
  expect_error(peer.call("document.append", {{"document", "0123"}, {"text", "x"}}), "document_unknown",
               "0123");
}

TEST_F(DaemonErrors, ParametersOfAnotherType) {
  const std::vector<std::pair<const char*, json>> changes = {{"plugins", 3},
                                                             {"plugins", json::array()},
                                                             {"text", 5},
                                                             {"stream", "yes"},
                                                             {"priority", 11},
                                                             {"deadline_ms", -1},
                                                             {"flush_after_ms", 0},
                                                             {"total_bytes", 1.5},
                                                             {"name", json::array()},
                                                             {"resume", false},
                                                             {"fd", 7},
                                                             {"stream", true}};
  for (const auto& [key, value] : changes) {
    auto request = text_request("x");
    request[key] = value;
    expect_error(open(request), "invalid_params", key);
  }
  auto request = text_request("x");
  request.erase("text");
  expect_error(open(request), "invalid_params", "one of 'text', 'fd' and 'stream'");
}

TEST_F(DaemonErrors, LinesThatAreNoRequests) {
  const std::vector<std::pair<std::string, const char*>> lines = {
      {"{", "parse"},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.ping\"}x", "parse"},
      {"[1]", "invalid_request"},
      {"{}", "invalid_request"},
      {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"server.ping\"}", "invalid_request"},
      {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"server.ping\"}", "invalid_request"},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", "invalid_request"},
      {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.ping\",\"params\":[]}", "invalid_"},
      {std::string(1000, '['), "parse"}};
  Peer peer(socket());
  for (const auto& [text, name] : lines) {
    peer.send(text + "\n");
    const auto answer = json::parse(peer.line().value());
    EXPECT_THAT(answer["error"]["data"]["name"].get<std::string>(), HasSubstr(name)) << text;
  }
  EXPECT_EQ(peer.call("server.ping", json::object())["result"], json::object()) << "the connection goes on";
}

TEST_F(DaemonErrors, ALineOverTheLimit) {
  Peer peer(socket());
  const std::string piece(1 << 20, ' ');
  for (int i = 0; i < 10 && peer.send(piece); ++i) {
  }
  const auto answer = json::parse(peer.line().value());
  EXPECT_EQ(answer["error"]["data"]["name"], "limit");
  EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr("8388608"));
  EXPECT_EQ(peer.line(), std::nullopt);
}

TEST_F(DaemonErrors, LimitsOnDocumentsAndBytes) {
  start({{"limits", {{"document_bytes", 1000}, {"documents", 4}}}});
  Peer peer(socket());
  auto long_one = peer.call("document.open", text_request(std::string(1001, 'x')));
  if (long_one.contains("result"))
    long_one = peer.read_document(long_one["result"]["document"]).end["params"];
  expect_error(long_one, "limit", "limits.document_bytes is 1000");
  const json request{{"plugins", scored()}, {"stream", true}};
  const auto first = peer.call("document.open", request)["result"]["document"];
  peer.call("document.open", request);
  expect_error(peer.call("document.open", request), "limit", "limits.documents is 4");
  const auto answer = peer.call("document.append", {{"document", first}, {"text", std::string(1001, 'x')}});
  expect_error(answer, "limit", "limits.document_bytes is 1000");
  start();  // without those limits
}

TEST_F(DaemonErrors, LimitsOfTheDaemonAreNamedWithTheirKeyAndNumber) {
  start({{"limits", {{"connections_per_user", 2}, {"documents_per_connection", 1}}}});
  const auto expect_limit = [](const json& answer, const std::string& key, int value) {
    expect_error(answer, "limit", key + " is " + std::to_string(value));
    EXPECT_EQ(answer["error"]["data"]["limit"], key);
    EXPECT_EQ(answer["error"]["data"]["value"], value);
  };
  Peer peer(socket());
  const json request{{"plugins", scored()}, {"stream", true}};
  const auto id = peer.call("document.open", request)["result"]["document"];
  expect_limit(peer.call("document.open", request), "limits.documents_per_connection", 1);
  EXPECT_TRUE(peer.call("document.attach", {{"document", id}}).contains("result")) << "the same one";
  peer.call("document.end", {{"document", id}});
  peer.read_document(id);
  EXPECT_TRUE(peer.call("document.open", request).contains("result")) << "the first has ended";
  Peer second(socket());
  second.call("server.ping", json::object());
  Peer third(socket());
  expect_limit(json::parse(third.line().value()), "limits.connections_per_user", 2);
  EXPECT_EQ(third.line(), std::nullopt);
  start();  // without those limits
}

TEST_F(DaemonErrors, APeerThatVanishesMidDocument) {
  json id;
  {
    Peer peer(socket());
    id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
    peer.call("document.append", {{"document", id}, {"text", some_text(100)}});
  }
  Peer peer(socket());
  json status;
  for (int tries = 0; tries < 500; ++tries) {
    status = peer.call("document.status", {{"document", id}})["result"];
    if (status["phase"] != "open") break;
    ::poll(nullptr, 0, 10);
  }
  EXPECT_EQ(status["error"]["data"]["name"], "peer_gone") << status;
  const auto resumed =
      peer.call("document.open", {{"plugins", scored()}, {"stream", true}, {"resume", id}})["result"];
  const auto rest = some_text(100).substr(resumed["resume_bytes"]);
  peer.call("document.append", {{"document", id}, {"text", rest}});
  peer.call("document.end", {{"document", id}});
  EXPECT_EQ(peer.read_document(id).end["method"], "document.done");
  Peer reader(socket());
  reader.call("document.attach", {{"document", id}});
  EXPECT_EQ(reader.read_document(id).outputs, read_text(some_text(100)).outputs);
}

TEST_F(DaemonErrors, AnEmptyDocumentIsNone) {
  const auto read = read_text("");
  EXPECT_EQ(read.end["params"]["summary"]["tokens"], 0);
  ASSERT_EQ(read.outputs.size(), 1u);
  EXPECT_THAT(read.outputs[0], HasSubstr("\"bits_per_byte\":null,\"perplexity\":null"));
}

TEST_F(DaemonErrors, DescriptorsThatAreNoDocuments) {
  const json request{{"plugins", scored()}, {"fd", true}};
  UniqueFd directory(::open(folder_->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  expect_error(open(request, {directory.get()}), "source", "folder");
  UniqueFd device(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  expect_error(open(request, {device.get()}), "source", "device");
  write_file(*folder_ / "t", "x");
  UniqueFd write_only(::open((*folder_ / "t").c_str(), O_WRONLY | O_CLOEXEC));
  expect_error(open(request, {write_only.get()}), "source", "read");
  expect_error(open(request), "invalid_params", "no descriptor");
  UniqueFd file(::open((*folder_ / "t").c_str(), O_RDONLY | O_CLOEXEC));
  expect_error(open(request, {file.get(), file.get()}), "invalid_params", "more than one");
}

TEST_F(DaemonErrors, AppendWhereItCannotBe) {
  Peer peer(socket());
  const auto id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  const auto append = [&](const json& more) {
    json params{{"document", id}};
    params.update(more);
    return peer.call("document.append", params);
  };
  expect_error(append({{"base64", "/wAKQQ="}}), "invalid_params", "base64");
  expect_error(append({{"base64", "eA=="}, {"text", "x"}}), "invalid_params", "one of");
  expect_error(append(json::object()), "invalid_params", "one of");
  peer.call("document.end", {{"document", id}});
  expect_error(append({{"text", "x"}}), "document_state", id);
}

TEST_F(DaemonErrors, ADeadline) {
  Peer peer(socket());
  const auto id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}, {"deadline_ms", 30}});
  expect_error(peer.read_document(id["result"]["document"]).end["params"], "deadline", "deadline");
}

TEST_F(DaemonErrors, OnADiskThatIsFullDocumentsWaitAndNewOnesAreRefused) {
  const auto text = some_text(3000);
  const auto expected = read_text(text).outputs;
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{300'000, before.rlim_max};
  std::filesystem::remove(*folder_ / "journal");
  ::setrlimit(RLIMIT_FSIZE, &small);  // for the next daemon: none of its files may grow beyond
  ::signal(SIGXFSZ, SIG_IGN);
  start({{"journal", {{"commit_blocks", 1}}}});
  ::setrlimit(RLIMIT_FSIZE, &before);
  Peer peer(socket());
  const auto id = peer.call("document.open", text_request(text))["result"]["document"];
  Peer other(socket());
  json refused;
  while (!refused.contains("error")) {
    refused = other.call("document.open", {{"plugins", scored()}, {"stream", true}});
  }
  expect_error(refused, "journal", (*folder_ / "journal").string());
  EXPECT_EQ(peer.call("document.status", {{"document", id}})["result"]["phase"], "open");
  EXPECT_EQ(peer.call("server.ping", json::object())["result"], json::object());

  start();
  Peer again(socket());
  auto request = text_request(text);
  request["resume"] = id;
  again.call("document.open", request);
  EXPECT_EQ(again.read_document(id).end["method"], "document.done");
  Peer reader(socket());
  reader.call("document.attach", {{"document", id}});
  EXPECT_EQ(reader.read_document(id).outputs, expected);
}

TEST_F(DaemonErrors, ASecondDaemonOnTheSameSocketIsRefusedAndTheFirstServes) {
  const auto second = run({program("unrolld").string(), "--socket", socket(), "--model",
                           (*folder_ / "model").string(), "--journal", ":memory:"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr(socket()), HasSubstr("another")));
}

TEST_F(DaemonErrors, AStaleSocketIsReplaced) {
  process().stop(SIGKILL);
  ASSERT_TRUE(std::filesystem::exists(socket()));
  start();
}

TEST_F(DaemonErrors, WhatKeepsADaemonFromStartingIsNamed) {
  const auto start_with = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program("unrolld").string());
    return run(arguments, {.input = "", .environment = {{"UNROLL_MODEL", ""}}});
  };
  const auto model = (*folder_ / "model").string(), none = (*folder_ / "none").string();
  auto result = start_with({"--socket", none, "--journal", ":memory:", "--model", none});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr(none), HasSubstr("--model")));
  result = start_with({"--socket", "/" + std::string(110, 's'), "--model", model, "--journal", ":memory:"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("107"));
  write_file(*folder_ / "bad.json", R"({"modell": {"directory": "x"}})");
  result = start_with({"--config", (*folder_ / "bad.json").string()});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("modell"), HasSubstr("bad.json")));
  write_file(*folder_ / "file", "not a journal, but a text that is long enough to be read as one ........");
  result = start_with({"--socket", none, "--model", model, "--journal", (*folder_ / "file").string()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("--journal"));
}

TEST_F(DaemonErrors, APathThatLooksLikeALineOfTheLogIsNone) {
  const auto evil = *folder_ / "x\n2026-11-29T13:20:00.000 critical: forged \x1b[31mred";
  write_file(evil, some_text(3000));
  start({{"journal", {{"commit_blocks", 1}}}});
  {
    Peer peer(socket());
    const UniqueFd file(::open(evil.c_str(), O_RDONLY | O_CLOEXEC));
    peer.call("document.open", {{"plugins", scored()}, {"fd", true}}, {file.get()});
    while (peer.notification()["method"] != "document.output") {
    }
    process().stop(SIGKILL);
  }
  start();
  EXPECT_THAT(log(), HasSubstr("forged")) << "it went on with the file, and says so";
  EXPECT_EQ(log().find("\n2026-11-29T13:20:00.000 critical"), std::string::npos);
  EXPECT_EQ(log().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace unroll::test
