// Plugins in workers, end to end: each bad one fails its own document with an error that names the fault,
// while all other documents get the same bytes as alone.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <vector>

#include "tests/daemon/daemon_case.h"
#include "tests/daemon/other_user.h"
#include "tests/daemon/silent_file_system.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t kDocuments = 50;

class PluginWorkers : public DaemonCase {
 protected:
  void SetUp() override {
    const fs::path plugins = *folder_ / "plugins";
    fs::create_directories(plugins);
    for (const auto& from : {fs::path(TEST_PLUGIN_DIRECTORY), fs::path(BUILTIN_PLUGIN_DIRECTORY)}) {
      for (const auto& file : fs::directory_iterator(from)) {
        fs::copy_file(file, plugins / file.path().filename(), fs::copy_options::overwrite_existing);
      }
    }
    start_with_deadline(2000);
  }
  void start_with_deadline(int milliseconds, json settings = json::object()) {
    settings["plugins"] = {{"directory", (*folder_ / "plugins").string()},
                           {"deadline_ms", milliseconds},
                           {"memory_bytes", 256 << 20}};
    start(settings);
  }
  /// Its plugin is made as soon as the file is there.
  static json awaiting(const fs::path& file, const std::string& text) {
    return {{"plugins", {{{"name", "waits-in-create"}, {"options", {{"file", file.string()}}}}}},
            {"text", text}};
  }
  static std::string opening(const json& request) {
    return json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "document.open"}, {"params", request}}.dump() +
           "\n";
  }

  static std::string text_of(std::size_t document) { return some_text(10 + document % 5); }
  static std::string open_scored(Peer& peer, std::size_t document) {
    return peer.call("document.open", text_request(text_of(document)))["result"]["document"];
  }
  /// Outputs of the documents' texts, each read alone.
  static std::vector<std::vector<std::string>> alone() {
    std::vector<std::vector<std::string>> outputs;
    for (std::size_t i = 0; i < 5; ++i) outputs.push_back(read_text(text_of(i)).outputs);
    return outputs;
  }
  static std::vector<pid_t> children(pid_t parent) {
    std::vector<pid_t> list;
    for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(parent) + "/task")) {
      std::ifstream file(task.path() / "children");
      for (pid_t child = 0; file >> child;) list.push_back(child);
    }
    return list;
  }
};

TEST_F(PluginWorkers, ABadPluginFailsItsDocumentAndNothingElse) {
  const auto expected = alone();
  struct Bad {
    std::string plugin, options, error;
  };
  const std::vector<Bad> bad_plugins = {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // sanitizers have no memory limit
    {"grabs", "{}", "in process"},
    {"leaks", "{}", "its limit is 256 MiB"},
#endif
    {"crashes", "{}", "killed by signal 11 (Segmentation fault) in process"},
    {"hangs", R"({"x":1})", "did not return from process within 2000 ms"},
    {"starts-processes", "{}", "tried to start a process"},
    {"exits", "{}", "ended with exit code 0 in process"},
    {"garbage", "{}", "sent an invalid message"},
    {"claims-much", "{}", "sent an invalid message"},
    {"throws", "{}", "an exception left its function process: no cheese"},
    {"writes-into-block", "{}", "it wrote to a block, which is borrowed and read-only"},
    {"floods", "{}", ""}  // too much, or on a busy machine too slow
  };
  Peer peer(socket());
  std::map<std::string, std::size_t> scored;
  std::map<std::string, Bad> failing;
  for (std::size_t i = 0; i < kDocuments; ++i) {
    scored[open_scored(peer, i)] = i;
    if (i >= bad_plugins.size()) continue;
    const auto answer = peer.call(
        "document.open",
        {{"plugins", {{{"name", bad_plugins[i].plugin}, {"options", json::parse(bad_plugins[i].options)}}}},
         {"text", some_text(bad_plugins[i].plugin == "leaks" ? 600 : 20)}});
    ASSERT_TRUE(answer.contains("result")) << answer;
    failing.emplace(answer["result"]["document"], bad_plugins[i]);
  }
  const auto documents = peer.read_documents(scored.size() + failing.size());
  for (const auto& [id, i] : scored) EXPECT_EQ(documents.at(id).outputs, expected[i % expected.size()]);
  for (const auto& [id, bad] : failing) {
    EXPECT_EQ(documents.at(id).outputs, std::vector<std::string>());
    EXPECT_THAT(documents.at(id).end.dump(), AllOf(HasSubstr("plugin " + bad.plugin), HasSubstr(bad.error)));
  }
}

TEST_F(PluginWorkers, AHangingOneHoldsNobodyElseUp) {
  Peer peer(socket());
  const std::string hanging =
      peer.call("document.open", {{"plugins", {{{"name", "hangs"}, {"options", {{"x", 1}}}}}},
                                  {"text", some_text(20)}})["result"]["document"];
  const std::string scored = open_scored(peer, 0);
  std::vector<std::string> ended;
  while (ended.size() < 2) {
    const auto note = peer.notification();
    if (note["method"] == "document.done" || note["method"] == "document.failed")
      ended.push_back(note["params"]["document"]);
  }
  EXPECT_EQ(ended, (std::vector<std::string>{scored, hanging}));
}

/// Clients of HTTP give up if they cannot send for some seconds.
TEST_F(PluginWorkers, ABodyIsTakenAheadOfASlowOne) {
  start_with_deadline(20'000);
  std::string body;
  while (body.size() < std::size_t{3} << 20) body += some_text(1000);
  Peer sender(socket()), watcher(socket());
  EXPECT_TRUE(sender.send("PUT /v1/hangs?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body));
  const auto list = watcher.call("document.list", {{"limit", 1}})["result"]["documents"];
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["phase"], "open");
  EXPECT_LT(list[0]["bytes"], body.size() / 2);
}

TEST_F(PluginWorkers, OneThatIsSlowlyMadeHoldsUpOnlyItsOwnConnection) {
  start_with_deadline(600'000);
  const auto expected = alone();
  const fs::path awaited = *folder_ / "awaited";
  const auto open = opening(awaiting(awaited, some_text(10)));
  Peer other(socket()), waits(socket());
  const auto listed = [&] { return other.call("document.list", json::object())["result"]["documents"]; };
  const auto before = listed().size();
  waits.send(open + R"({"jsonrpc":"2.0","id":2,"method":"server.ping"})" + "\n");
  {
    Peer leaves(socket());  // its document has arrived completely, so it is read anyway
    leaves.send(open);
  }
  EXPECT_EQ(other.read_document(open_scored(other, 0)).outputs, expected[0]);
  EXPECT_EQ(listed().size(), before + 1) << "those that wait for their plugin are not there yet";
  write_file(awaited, "");
  EXPECT_EQ(json::parse(*waits.line())["id"], 1) << "answers come in the requests' order";
  EXPECT_EQ(json::parse(*waits.line())["id"], 2);
  json documents;
  for (int tries = 0; tries < 1500; ++tries) {
    documents = listed();
    const auto done = [](const json& document) { return document["phase"] == "done"; };
    if (documents.size() == before + 3 && std::ranges::all_of(documents, done)) break;
    ::poll(nullptr, 0, 20);
  }
  EXPECT_EQ(documents.size(), before + 3);
  for (const json& document : documents) EXPECT_EQ(document["phase"], "done") << document;
}

TEST_F(PluginWorkers, FiftyUsersWhosePluginsAreNeverMadeKeepNobodyElseWaiting) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can be other users";
  constexpr uid_t kFirst = 20'000, kUsers = 50;
  start_with_deadline(600'000, {{"drain_ms", 100}, {"socket", {{"mode", "0666"}}}});
  fs::permissions(folder_->path(), fs::perms::others_exec, fs::perm_options::add);
  const auto expected = alone();
  const auto open = opening(awaiting(*folder_ / "awaited", some_text(10)));
  const std::string path = socket();
  std::vector<std::unique_ptr<OtherUser>> users;
  const auto add_user = [&](uid_t user, const std::function<void()>& work) {
    users.push_back(std::make_unique<OtherUser>(work, user));
    return users.back()->good();
  };
  for (uid_t user = 0; user < kUsers; ++user) {
    ASSERT_TRUE(add_user(kFirst + user, [&] {
      static Peer held(path);
      for (int i = 0; i < 5; ++i) held.send(open);
      Peer(path).call("server.ping", json::object());  // its requests are handled in their order
    }));
  }
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(add_user(kFirst + kUsers, [&] {
      Peer peer(path);
      if (peer.read_document(open_scored(peer, i)).outputs != expected[i]) throw std::runtime_error("others");
    }));
  }
  EXPECT_EQ(process().stop(SIGTERM), 1) << "it does not wait for those plugins";
  EXPECT_THAT(log(), HasSubstr("a plugin's instance that is being created"));
}

TEST_F(PluginWorkers, WhatCannotBeOpenedIsRefusedAfterAWhile) {
  start_with_deadline(600'000, {{"limits", {{"openings", 2}, {"opening_timeout_ms", 300}}}});
  const fs::path awaited = *folder_ / "awaited";
  const auto open = opening(awaiting(awaited, some_text(10)));
  Peer first(socket()), second(socket());
  first.send(open);
  first.send(R"({"jsonrpc":"2.0","id":2,"method":"server.ping"})"
             "\n");
  second.send(open);
  const auto error = json::parse(second.line().value())["error"];
  EXPECT_EQ(error["data"]["limit"], "limits.openings") << error;
  EXPECT_EQ(error["data"]["value"], 2);
  write_file(awaited, "");
  EXPECT_TRUE(json::parse(first.line().value()).contains("result"));
  second.send(open);
  EXPECT_TRUE(json::parse(second.line().value()).contains("result"));
}

/// They read from a file system that does not answer, so that not even SIGKILL ends them.
TEST_F(PluginWorkers, OnesThatCannotBeKilledAreWrittenOff) {
  if (::getuid() != 0) GTEST_SKIP() << "only root may mount here";
  const fs::path mounted = *folder_ / "mounted";
  const SilentFileSystem files(mounted, FuseRequest::kLookup, "");
  if (!files.good()) GTEST_SKIP() << "no FUSE here";
  start_with_deadline(500);
  const auto expected = alone();
  Peer peer(socket());
  json errors;
  for (int i = 0; i < 6; ++i) {
    const auto answer = peer.call("document.open", awaiting(mounted / "none", some_text(10)));
    ASSERT_TRUE(answer.contains("error")) << answer;
    errors.push_back(answer["error"]["message"]);
    EXPECT_EQ(read_text(text_of(0)).outputs, expected[0]);
  }
  EXPECT_THAT(errors.front().get<std::string>(), HasSubstr("did not return from create within 500 ms"));
  EXPECT_THAT(errors.back().get<std::string>(), HasSubstr("4 of its workers were killed and do not end"));
  EXPECT_EQ(process().stop(SIGTERM), 0);
}

/// The engine makes the plugin again when an evicted document goes on. It does not wait for it.
TEST_F(PluginWorkers, OneThatIsSlowlyMadeAgainHoldsUpOnlyItsOwnDocuments) {
  constexpr std::size_t kDocuments = 40;
  fs::remove_all(*folder_ / "model");
  write_tiny_pretrained(*folder_ / "model");  // its states take more memory
  start_with_deadline(600'000, {{"limits", {{"memory_bytes", 1 << 20}, {"memory_bytes_per_user", 1 << 20}}}});
  const auto text = some_text(80);
  const auto middle = text.find('\n', text.size() / 2) + 1;
  const auto expected = read_text(text).outputs;
  const fs::path awaited = *folder_ / "awaited";
  write_file(awaited, "");
  Peer peer(socket());
  std::vector<json> ids;
  auto request = awaiting(awaited, "");
  request.erase("text");
  request["stream"] = true;
  for (std::size_t i = 0; i < kDocuments; ++i)
    ids.push_back(peer.call("document.open", request)["result"]["document"]);
  const auto append = [&](const std::string& part, std::size_t documents) {
    for (std::size_t i = 0; i < documents; ++i)
      peer.call("document.append", {{"document", ids[i]}, {"text", part}});
  };
  append(text.substr(0, middle), kDocuments);
  append("\n", kDocuments);  // the first part has been accepted: most have been read, and some evicted
  read_text(text);
  EXPECT_GT(peer.call("server.stats", json::object())["result"]["evictions"], 0);
  fs::remove(awaited);
  append(text.substr(middle), 5);  // those that were evicted first
  EXPECT_EQ(read_text(text).outputs, expected);
  write_file(awaited, "");
  for (const auto& id : ids) peer.call("document.end", {{"document", id}});
  for (const auto& [id, document] : peer.read_documents(kDocuments))
    EXPECT_EQ(document.end["method"], "document.done") << document.end;
}

/// An evicted document's plugin is created again when it is restored.
TEST_F(PluginWorkers, OneThatCannotBeCreatedAgainFailsItsDocumentsAndNothingElse) {
  constexpr std::size_t kEach = 20;
  fs::remove_all(*folder_ / "model");
  write_tiny_pretrained(*folder_ / "model");  // its states take more memory
  start_with_deadline(30'000);
  const auto text = some_text(80);
  const auto middle = text.find('\n', text.size() / 2) + 1;
  const auto expected = read_text(text).outputs;
  start({{"plugins", {{"directory", (*folder_ / "plugins").string()}}},
         {"limits", {{"memory_bytes", 1 << 20}, {"memory_bytes_per_user", 1 << 20}}}});
  const fs::path broken = *folder_ / "broken";
  const json breakable = json::array({{{"name", "breakable"}, {"options", {{"file", broken.string()}}}}});
  Peer good(socket()), bad(socket());
  std::vector<std::pair<Peer*, json>> documents;
  for (std::size_t i = 0; i < 2 * kEach; ++i) {
    Peer& peer = i % 2 == 0 ? good : bad;
    const json request{{"plugins", i % 2 == 0 ? scored() : breakable}, {"stream", true}};
    documents.emplace_back(&peer, peer.call("document.open", request)["result"]["document"]);
  }
  const auto append_to_all = [&](const std::string& part) {
    for (auto& [peer, id] : documents) peer->call("document.append", {{"document", id}, {"text", part}});
  };
  append_to_all(text.substr(0, middle));
  append_to_all("\n");  // the first part has been accepted: most have been read, and some evicted
  write_file(broken, "");
  append_to_all(text.substr(middle));
  for (auto& [peer, id] : documents) peer->call("document.end", {{"document", id}});
  std::size_t failed = 0;
  for (const auto& [id, document] : bad.read_documents(kEach)) {
    if (document.end["method"] == "document.done") continue;
    ++failed;
    EXPECT_THAT(document.end.dump(), AllOf(HasSubstr("plugin_failed"), HasSubstr("it is broken")));
  }
  EXPECT_GT(failed, 0u);
  for (const auto& [id, document] : good.read_documents(kEach))
    EXPECT_EQ(document.end["method"], "document.done") << document.end;
  EXPECT_EQ(read_text(text).outputs, expected);
  EXPECT_GT(good.call("server.stats", json::object())["result"]["evictions"], 0);
}

TEST_F(PluginWorkers, WhatCannotBeLoadedIsLeftOutWithAWarning) {
  EXPECT_THAT(log(), AllOf(HasSubstr("plugin ABI 7"), HasSubstr("does not export `unroll_plugin_entry`")));
}

TEST_F(PluginWorkers, KillingThemChangesNothing) {
  const auto expected = alone();
  Peer peer(socket());
  std::map<std::string, std::size_t> scored;
  for (std::size_t i = 0; i < kDocuments; ++i) {
    scored[open_scored(peer, i)] = i;
    if (i % 10 != 0) continue;
    const auto workers = children(process().pid());
    EXPECT_FALSE(workers.empty());
    for (const pid_t worker : workers) ::kill(worker, SIGKILL);
  }
  const auto documents = peer.read_documents(scored.size());
  for (const auto& [id, i] : scored) EXPECT_EQ(documents.at(id).outputs, expected[i % expected.size()]);
}

TEST_F(PluginWorkers, AreWhatTheKernelEndsFirstIfMemoryRunsOut) {
  const auto workers = children(process().pid());
  EXPECT_FALSE(workers.empty());
  for (const pid_t worker : workers)
    EXPECT_EQ(read_file("/proc/" + std::to_string(worker) + "/oom_score_adj"), "1000\n");
}

TEST_F(PluginWorkers, EndWithTheDaemon) {
  const auto workers = children(process().pid());
  EXPECT_FALSE(workers.empty());
  process().stop(SIGKILL);
  for (const pid_t worker : workers) {
    int tries = 0;
    for (; ::kill(worker, 0) == 0 && tries < 500; ++tries) {
      std::string stat;
      std::ifstream file("/proc/" + std::to_string(worker) + "/stat");
      std::getline(file, stat);
      if (stat.find(") Z ") != std::string::npos) break;  // ended; its new parent has not noticed yet
      ::poll(nullptr, 0, 10);
    }
    EXPECT_LT(tries, 500);
  }
}

TEST_F(PluginWorkers, OneThatIsLostIsLoggedAndCountedWithItsReason) {
  Peer peer(socket());
  const auto fail = [&](const std::string& plugin, const json& options) {
    const json request = {{"plugins", {{{"name", plugin}, {"options", options}}}}, {"text", some_text(20)}};
    const auto id = peer.call("document.open", request)["result"]["document"];
    EXPECT_EQ(peer.read_document(id).end["method"], "document.failed");
  };
  fail("hangs", {{"x", 1}});
  fail("crashes", json::object());
  EXPECT_THAT(log(), AllOf(HasSubstr("plugin hangs: its worker did not return from process within 2000 ms"),
                           HasSubstr("plugin crashes: its worker was killed by signal 11"),
                           HasSubstr("failed (plugin_failed)")));
  Peer http(socket());
  http.send("GET /metrics HTTP/1.1\r\nHost: u\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(
      http.rest(),
      AllOf(HasSubstr("unroll_events_total{event=\"worker_lost\",reason=\"hung\"} 1\n"),
            HasSubstr("unroll_events_total{event=\"worker_lost\",reason=\"crashed\"}"),
            HasSubstr("unroll_events_total{event=\"document_failed\",reason=\"plugin_failed\"} 2\n")));
}

TEST_F(PluginWorkers, OneInTheDaemonThatNeverReturnsIsSeenAndDoesNotKeepTheDaemonFromEnding) {
  start({{"plugins", {{"directory", (*folder_ / "plugins").string()}, {"in_process", "hangs.so"}}},
         {"stall_ms", 300},
         {"drain_ms", 100}});
  const auto health = [](const char* path) {
    Peer http(socket());
    http.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: u\r\nConnection: close\r\n\r\n");
    return http.rest();
  };
  EXPECT_THAT(health("/healthz"), HasSubstr("ok\n"));
  const auto text = some_text(200);
  const auto expected = read_text(text).outputs;
  Peer peer(socket()), unfinished(socket());
  json stream{{"plugins", scored()}, {"stream", true}};
  const auto id = unfinished.call("document.open", stream)["result"]["document"];
  unfinished.call("document.append", {{"document", id}, {"text", text}});
  while (unfinished.notification()["method"] != "document.output") {
  }
  // It would be accepted with its first commit, which never comes.
  peer.send(opening({{"plugins", {{{"name", "hangs"}, {"options", {{"x", 1}}}}}}, {"text", some_text(20)}}));
  std::string answer;
  for (int tries = 0; tries < 1000 && answer.find("503") == std::string::npos; ++tries) {
    answer = health("/healthz");
    ::poll(nullptr, 0, 20);
  }
  EXPECT_THAT(answer, AllOf(HasSubstr("503"), HasSubstr("at one block for")));
  EXPECT_THAT(health("/readyz"), HasSubstr("503"));
  EXPECT_THAT(health("/metrics"), HasSubstr("unroll_engine_stands_still 1\n"));
  EXPECT_EQ(process().stop(SIGTERM), 1);
  EXPECT_THAT(log(), AllOf(HasSubstr("because the engine is at a block or a commit that does not end"),
                           HasSubstr("ending at once")));
  EXPECT_EQ(unfinished.read_document(id).end["params"]["error"]["data"]["name"], "shutting_down");

  start();
  Peer again(socket());
  stream["resume"] = id;
  const auto from = again.call("document.open", stream)["result"]["resume_bytes"].get<std::size_t>();
  again.call("document.append", {{"document", id}, {"text", text.substr(from)}});
  again.call("document.end", {{"document", id}});
  EXPECT_EQ(again.read_document(id).end["method"], "document.done");
  again.call("document.attach", {{"document", id}});
  EXPECT_EQ(again.read_document(id).outputs, expected);
}

}  // namespace
}  // namespace unroll::test
