// Several documents: on one connection, read slowly, seen by another user.
#include <algorithm>
#include <array>
#include <map>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Documents : public DaemonCase {
 protected:
  static json stream_request() { return {{"plugins", scored()}, {"stream", true}}; }
  static std::string open(Peer& peer, const json& request, const std::vector<int>& descriptors = {}) {
    const auto answer = peer.call("document.open", request, descriptors);
    EXPECT_TRUE(answer.contains("result")) << answer;
    return answer.at("result").at("document");
  }
};

TEST_F(Documents, ManyOnOneConnectionGiveWhatEachGivesAlone) {
  constexpr int kCount = 6;
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> expected;
  for (int i = 0; i < kCount; ++i) {
    texts.push_back(some_text(static_cast<std::size_t>(30 + 17 * i)));
    expected.push_back(read_text(texts.back()).outputs);
  }
  Peer peer(socket());
  std::vector<std::string> ids;
  for (int i = 0; i < kCount; ++i) ids.push_back(open(peer, stream_request()));
  // A piece of each in turn, cut anywhere within characters of several bytes.
  std::vector<std::size_t> sent(kCount, 0);
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < kCount; ++i) {
      if (sent[i] == texts[i].size()) continue;
      auto end = std::min(sent[i] + 37 + 11 * i, texts[i].size());
      while (end < texts[i].size() && (texts[i][end] & '\xc0') == '\x80') ++end;
      const auto piece = texts[i].substr(sent[i], end - sent[i]);
      ASSERT_TRUE(peer.call("document.append", {{"document", ids[i]}, {"text", piece}}).contains("result"));
      if (end == texts[i].size()) peer.call("document.end", {{"document", ids[i]}});
      sent[i] = end;
      more = true;
    }
  }
  const auto documents = peer.read_documents(kCount);
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(documents.at(ids[i]).outputs, expected[i]) << i;
}

TEST_F(Documents, RequestsNeedNotWaitForAnswers) {
  Peer peer(socket());
  std::string lines;
  for (int i = 0; i < 200; ++i) {
    lines += json({{"jsonrpc", "2.0"}, {"id", i}, {"method", "server.ping"}}).dump() + "\r\n\n";
  }
  // The last one has no newline; a notification is not answered.
  lines += R"({"jsonrpc":"2.0","method":"server.ping"})"
           "\n"
           R"({"jsonrpc":"2.0","id":"last","method":"server.ping"})";
  peer.send(lines);
  peer.close_sending();
  for (int i = 0; i < 200; ++i) ASSERT_EQ(json::parse(peer.line().value())["id"], i);
  EXPECT_EQ(json::parse(peer.line().value())["id"], "last");
  EXPECT_EQ(peer.line(), std::nullopt);
}

TEST_F(Documents, AFileIsReadFromItsBeginningAndASocketToItsEnd) {
  const auto text = some_text(40);
  const auto expected = read_text(text).outputs;
  write_file(*folder_ / "text", text);
  const UniqueFd file(::open((*folder_ / "text").c_str(), O_RDONLY | O_CLOEXEC));
  ::lseek(file.get(), 100, SEEK_SET);
  Peer peer(socket());
  auto id = open(peer, {{"plugins", scored()}, {"fd", true}}, {file.get()});
  EXPECT_EQ(peer.read_document(id).outputs, expected);
  EXPECT_EQ(peer.call("document.status", {{"document", id}})["result"]["total_bytes"], text.size());

  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  UniqueFd mine(ends[0]), theirs(ends[1]);
  id = open(peer, {{"plugins", scored()}, {"fd", true}}, {theirs.get()});
  theirs.reset();
  ASSERT_EQ(::write(mine.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  mine.reset();
  EXPECT_EQ(peer.read_document(id).outputs, expected);
}

TEST_F(Documents, AttachTakesOverWhileADocumentIsOpen) {
  start({{"journal", {{"commit_blocks", 1}}}});
  const auto text = some_text(120);
  const auto expected = read_text(text).outputs;
  Peer writer(socket()), reader(socket());
  const auto id = open(writer, stream_request());
  writer.call("document.append", {{"document", id}, {"text", text.substr(0, text.size() / 2)}});
  while (writer.notification()["method"] != "document.output") {
  }
  const auto status = reader.call("document.attach", {{"document", id}, {"from", 5}})["result"];
  EXPECT_EQ(status["phase"], "open");
  writer.call("document.append", {{"document", id}, {"text", text.substr(text.size() / 2)}});
  writer.call("document.end", {{"document", id}});
  EXPECT_EQ(reader.read_document(id).outputs, std::vector(expected.begin() + 5, expected.end()));
  // After the last output there is only the end.
  Peer late(socket());
  late.call("document.attach", {{"document", id}, {"from", expected.size()}});
  EXPECT_THAT(late.read_document(id).outputs, ElementsAre());
  EXPECT_EQ(late.call("document.attach", {{"document", id}, {"from", -1}})["error"]["data"]["name"],
            "invalid_params");
}

TEST_F(Documents, OneWhoReadsSlowlyMissesNothingAndHoldsUpNobody) {
  start({{"limits", {{"outgoing_bytes", 65536}}}});
  const auto text = some_text(2000);
  const json request{{"plugins", scored("token")}, {"text", text}};
  Peer slow(socket());
  const auto id = open(slow, request);
  // It is not read until it is done; meanwhile another document is served.
  Peer other(socket());
  for (int tries = 0; tries < 3000; ++tries) {
    if (other.call("document.status", {{"document", id}})["result"]["phase"] == "done") break;
    ::poll(nullptr, 0, 10);
  }
  const auto read = slow.read_document(id);
  EXPECT_EQ(read.end["params"]["summary"]["outputs"], read.outputs.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < read.outputs.size(); ++i) {
    ASSERT_THAT(read.outputs[i], testing::StartsWith(std::to_string(i) + " score "));
    bytes += read.outputs[i].size();
  }
  EXPECT_GT(bytes, 4u * 65536) << "too short for anything to wait in the journal";
  Peer fast(socket());
  EXPECT_EQ(fast.read_document(open(fast, request)).outputs, read.outputs);
}

TEST_F(Documents, ListHasTheNewestFirst) {
  Peer peer(socket());
  std::vector<std::string> names;
  for (const char* name : {"a", "b\nc", "\u00e9"}) {
    auto request = text_request("x\n");
    request["name"] = name;
    peer.read_document(open(peer, request));
  }
  const auto list = peer.call("document.list", json::object());
  for (const auto& entry : list.at("result").at("documents")) {
    if (names.size() < 3) names.push_back(entry["name"]);
    EXPECT_EQ(entry["phase"] == "failed", entry.contains("error"));
  }
  EXPECT_THAT(names, ElementsAre("\u00e9", "b\nc", "a"));
}

TEST_F(Documents, ServerMethodsHaveEveryFieldOfTheManual) {
  Peer peer(socket());
  const auto keys = [](const json& object) {
    std::vector<std::string> names;
    for (const auto& [name, value] : object.items()) names.push_back(name);
    return names;
  };
  const auto info = peer.call("server.info", json::object())["result"];
  EXPECT_THAT(keys(info), ElementsAre("limits", "model", "models", "pid", "plugins", "protocol", "version"));
  EXPECT_THAT(
      keys(info["limits"]),
      ElementsAre("buffered_bytes", "buffered_bytes_per_user", "connections", "connections_per_user",
                  "descriptors_per_user", "document_bytes", "documents", "documents_per_connection",
                  "documents_per_user", "journal_bytes_per_user", "line_bytes", "line_bytes_per_user",
                  "memory_bytes", "memory_bytes_per_user", "model_memory_bytes", "snapshots_per_user"));
  EXPECT_THAT(keys(info["models"][0]),
              ElementsAre("bytes", "documents", "family", "loaded", "name", "parameters"));
  EXPECT_THAT(keys(info["model"]),
              ElementsAre("block_width", "checkpoint", "depth", "device", "dim", "dtype", "form",
                          "form_problem", "name", "num_tokens", "parameters", "state_bytes"));
  const auto before = peer.call("server.stats", json::object())["result"];
  EXPECT_THAT(keys(before),
              ElementsAre("blocks", "buffered_bytes", "bytes", "commits", "connections", "documents_done",
                          "documents_failed", "documents_in_memory", "evictions", "journal_seconds",
                          "memory_bytes", "model_seconds", "open_documents", "outputs", "plugin_seconds",
                          "put_aways", "reloads", "resident_bytes", "revisions", "tokens", "uptime_seconds",
                          "waiting_documents", "workers_lost", "workers_started"));
  const auto text = some_text(30);
  const auto read = read_text(text);
  const auto after = peer.call("server.stats", json::object())["result"];
  EXPECT_EQ(after["bytes"], before["bytes"].get<std::size_t>() + text.size());
  EXPECT_EQ(after["outputs"], before["outputs"].get<std::size_t>() + read.outputs.size());
  EXPECT_EQ(after["documents_done"], before["documents_done"].get<std::size_t>() + 1);
  EXPECT_EQ(peer.call("server.ping", json::object())["result"], json::object());
  EXPECT_EQ(peer.call("server.ping", {{"x", 1}})["error"]["data"]["name"], "invalid_params");
}

TEST_F(Documents, OfAnotherUserLookAsIfTheyDidNotExist) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be another user";
  start({{"socket", {{"mode", "0666"}}}});
  std::filesystem::permissions(folder_->path(), std::filesystem::perms::others_exec,
                               std::filesystem::perm_options::add);
  Peer peer(socket());
  const auto id = open(peer, stream_request());
  const pid_t child = ::fork();
  if (child == 0) {
    int problems = 100;
    if (::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0) {
      problems = 0;
      try {
        Peer stranger(socket());
        const json open_again{{"plugins", scored()}, {"stream", true}, {"resume", id}};
        const std::vector<std::pair<std::string, json>> tries = {
            {"document.status", {{"document", id}}},
            {"document.cancel", {{"document", id}}},
            {"document.attach", {{"document", id}}},
            {"document.end", {{"document", id}}},
            {"document.append", {{"document", id}, {"text", "x"}}},
            {"document.open", open_again}};
        for (const auto& [method, params] : tries) {
          const auto answer = stranger.call(method, params);
          problems +=
              !answer.contains("error") || answer["error"]["data"]["name"] != "document_unknown" ? 1 : 0;
        }
        problems += stranger.call("document.list", json::object())["result"]["documents"].empty() ? 0 : 1;
      } catch (...) {
        problems = 101;
      }
    }
    ::_exit(problems);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(peer.call("document.status", {{"document", id}})["result"]["phase"], "open");
}

}  // namespace
}  // namespace unroll::test
