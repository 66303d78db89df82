// Snapshots over the real socket, by JSON-RPC and HTTP.
#include <array>
#include <fstream>

#include <fcntl.h>

#include "tests/daemon/other_user.h"
#include "tests/daemon/snapshot_case.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class SnapshotMethods : public SnapshotCase {
 protected:
  static std::string request(const std::string& method, const std::string& target,
                             const std::string& body = {}, const std::string& fields = {}) {
    const auto answer =
        http(socket(), method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields +
                           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return answer;
  }
  static std::string body_of(const std::string& answer) {
    return answer.substr(std::min(answer.size(), answer.find("\r\n\r\n") + 4));
  }
};

TEST_F(SnapshotMethods, ADocumentGoesOnFromATextBitForBit) {
  const auto text = some_text(60);
  const auto whole = read(text);
  for (const std::size_t cut : {0ul, 1ul, 35ul, text.find("öß") + 1, 700ul, text.size() - 1, text.size()}) {
    SCOPED_TRACE(cut);
    // JSON has characters, a descriptor has bytes.
    write_file(*folder_ / "before", text.substr(0, cut));
    write_file(*folder_ / "after", text.substr(cut));
    const UniqueFd before(::open((*folder_ / "before").c_str(), O_RDONLY | O_CLOEXEC));
    const auto made = result("snapshot.create", {{"fd", true}, {"name", "a"}}, {before.get()});
    EXPECT_EQ(made["bytes"], cut);
    EXPECT_EQ(made["name"], "a");
    const UniqueFd after(::open((*folder_ / "after").c_str(), O_RDONLY | O_CLOEXEC));
    Peer peer(socket());
    const auto opened = peer.call("document.open",
                                  {{"plugins", scored("token")}, {"fd", true}, {"from", "a"}}, {after.get()});
    ASSERT_TRUE(opened.contains("result")) << opened;
    EXPECT_EQ(opened["result"]["resume_bytes"], 0);
    const auto read = peer.read_document(opened["result"]["document"]);
    std::vector<std::string> data;
    for (const auto& output : read.outputs) data.push_back(output.substr(output.find('{')));
    EXPECT_EQ(tokens_of(data), from(whole, cut));
    EXPECT_EQ(read.end["params"]["summary"]["bytes"], text.size() - cut);
  }
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(SnapshotMethods, OneIsMadeOfAnOpenDocumentWhichGoesOn) {
  const auto text = some_text(40);
  Peer peer(socket());
  const auto id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  peer.call("document.append", {{"document", id}, {"text", text.substr(0, 500)}});
  const auto made = peer.call("snapshot.create", {{"document", id}, {"name", "a"}, {"expires_s", 3600}});
  ASSERT_TRUE(made.contains("result")) << made;
  EXPECT_EQ(made["result"]["bytes"], 500);
  EXPECT_EQ(made["result"]["plugins"], scored());
  EXPECT_EQ(made["result"]["expires"], made["result"]["created"].get<int>() + 3600);
  peer.call("document.append", {{"document", id}, {"text", text.substr(500)}});
  peer.call("document.end", {{"document", id}});
  EXPECT_EQ(peer.read_document(id).outputs, read_text(text).outputs);
  // It has the plugin with other options.
  const auto otherwise = error("document.open", {{"plugins", scored("token")}, {"text", "x"}, {"from", "a"}});
  EXPECT_THAT(otherwise["message"].get<std::string>(), HasSubstr("plugin score with other options"));
  const auto ended = error("snapshot.create", {{"document", id}, {"name", "b"}});
  EXPECT_EQ(ended["data"]["name"], "document_state");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
  EXPECT_EQ(result("snapshot.delete", {{"name", "a"}}), json::object());
  EXPECT_EQ(error("snapshot.delete", {{"name", "a"}})["data"]["name"], "snapshot_unknown");
  EXPECT_EQ(error("document.open", {{"plugins", scored()}, {"text", "x"}, {"from", "a"}})["data"]["name"],
            "snapshot_unknown");
}

TEST_F(SnapshotMethods, ADocumentThatIsOpenedWithOneLeavesItWhenItIsDone) {
  const auto text = some_text(30);
  const auto whole = read(text + "the end\n");
  EXPECT_EQ(read(text, {{"snapshot", {{"name", "a"}}}}), read(text));
  EXPECT_EQ(read("the end\n", {{"from", "a"}}), from(whole, text.size()));
  EXPECT_EQ(error("document.open", {{"text", "x"}})["data"]["name"], "invalid_params") << "no plugin";
}

TEST_F(SnapshotMethods, OneOfAFileIsMadeByTheNextDaemonIfTheFirstIsKilled) {
  const auto text = some_text(2000);
  write_file(*folder_ / "text", text);
  start({{"journal", {{"commit_blocks", 1}}}});
  const UniqueFd file(::open((*folder_ / "text").c_str(), O_RDONLY | O_CLOEXEC));
  Peer peer(socket());
  peer.send(json{{"jsonrpc", "2.0"},
                 {"id", 1},
                 {"method", "snapshot.create"},
                 {"params", {{"fd", true}, {"name", "a"}, {"plugins", scored("token")}}}}
                    .dump() +
                "\n",
            {file.get()});
  const auto newest = [] {
    const json list = result("document.list", {{"limit", 1}})["documents"];
    return list.empty() ? json{{"bytes", 0}} : list[0];  // it may not be open yet
  };
  while (newest()["bytes"].get<std::size_t>() < 2000 || newest()["total_bytes"] != text.size())
    ::poll(nullptr, 0, 5);
  ASSERT_EQ(newest()["phase"], "open") << "too short to be killed in its middle";
  process().stop(SIGKILL);
  start();
  while (newest()["phase"] == "open") ::poll(nullptr, 0, 20);
  EXPECT_EQ(newest()["phase"], "done") << newest();
  ASSERT_EQ(names(), std::vector<std::string>{"a"});
  EXPECT_EQ(read("the end\n", {{"from", "a"}}), from(read(text + "the end\n"), text.size()));
}

TEST_F(SnapshotMethods, OthersCannotSeeOrUseIt) {
  start({{"socket", {{"mode", "0666"}}}});
  std::filesystem::permissions(folder_->path(), std::filesystem::perms(0755));
  make("a secret of mine\n", "a");
  const bool is_root = ::getuid() == 0;
  const OtherUser other([is_root] {
    if (!is_root) return;
    const auto require = [](bool holds) {
      if (!holds) throw std::runtime_error("seen");
    };
    Peer peer(socket());
    require(peer.call("snapshot.list", json::object())["result"]["snapshots"].empty());
    const UniqueFd file = empty_file();
    const auto unknown = [&](const std::string& method, const json& params) {
      const auto answer = peer.call(
          method, params, params.contains("fd") ? std::vector<int>{file.get()} : std::vector<int>());
      require(answer.contains("error") && answer["error"]["data"]["name"] == "snapshot_unknown");
    };
    unknown("document.open", {{"plugins", scored()}, {"text", "x"}, {"from", "a"}});
    unknown("snapshot.delete", {{"name", "a"}});
    unknown("snapshot.export", {{"name", "a"}, {"fd", true}});
    require(content_of(file.get()).empty());
    // The same name is another snapshot.
    require(peer.call("snapshot.create", {{"text", "x"}, {"name", "a"}})["result"]["bytes"] == 1);
  });
  EXPECT_TRUE(other.good());
  EXPECT_EQ(result("snapshot.list", json::object())["snapshots"][0]["bytes"], 17);
}

TEST_F(SnapshotMethods, AUserHasALimitedNumberAndLimitedBytes) {
  start({{"limits", {{"snapshots_per_user", 2}, {"buffered_bytes_per_user", 65'536}}}});
  make("one", "a");
  make("two", "b");
  const auto refused = error("snapshot.create", {{"text", "three"}, {"name", "c"}});
  EXPECT_EQ(refused["data"]["limit"], "limits.snapshots_per_user");
  EXPECT_EQ(refused["data"]["value"], 2);
  EXPECT_EQ(make("another", "b")["bytes"], 7) << "takes the place of the one before";
  const auto file = exported("a");
  EXPECT_EQ(imported(file, "c")["error"]["data"]["limit"], "limits.snapshots_per_user");
  EXPECT_EQ(imported(file, "b")["result"]["bytes"], 3);
  Peer peer(socket());
  const auto piece = base64_encode(std::string(40'000, 'x'));
  EXPECT_TRUE(peer.call("snapshot.import", {{"base64", piece}, {"more", true}}).contains("result"));
  const auto too_much = peer.call("snapshot.import", {{"base64", piece}, {"more", true}});
  EXPECT_EQ(too_much["error"]["data"]["limit"], "limits.buffered_bytes_per_user") << too_much;
  EXPECT_TRUE(peer.call("snapshot.import", {{"base64", piece}, {"more", true}}).contains("result"))
      << "what was refused is freed";
}

TEST_F(SnapshotMethods, ItExpires) {
  result("snapshot.create", {{"text", "x"}, {"name", "a"}, {"expires_s", 1}});
  const auto gone = [] { return names().empty(); };
  for (int tries = 0; tries < 500 && !gone(); ++tries) ::poll(nullptr, 0, 20);
  EXPECT_TRUE(gone());
}

TEST_F(SnapshotMethods, AFileOfItGivesTheSameAndNoOtherBytesAreTaken) {
  const auto text = some_text(50);
  const auto expected = from(read(text + "the end\n"), text.size());
  make(text, "a");
  const auto file = exported("a");
  EXPECT_EQ(file, exported("a"));
  EXPECT_EQ(file.find("größer whale\nline 10 "), std::string::npos) << "only the last block's text is in it";
  result("snapshot.delete", {{"name", "a"}});
  const auto back = imported(file, "b");
  ASSERT_TRUE(back.contains("result")) << back;
  EXPECT_EQ(back["result"]["name"], "b");
  EXPECT_EQ(back["result"]["bytes"], text.size());
  EXPECT_EQ(read("the end\n", {{"from", "b"}}), expected);
  for (std::size_t i = 0; i < 60; ++i) {
    auto damaged = file;
    const auto at = i < 30 ? i * 7 : i * file.size() / 60;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << i % 8));
    const auto refused = imported(damaged, "c");
    EXPECT_EQ(refused["error"]["data"]["name"], "invalid_params") << at << refused;
  }
  EXPECT_EQ(imported(file.substr(0, file.size() - 1), "c")["error"]["data"]["name"], "invalid_params");
  EXPECT_EQ(names(), std::vector<std::string>{"b"});
}

TEST_F(SnapshotMethods, ItIsWrittenToAFileThatTakesIt) {
  make(some_text(50), "a");
  const auto file = exported("a");
  const auto path = (*folder_ / "a.snapshot").string();
  std::ofstream(path) << std::string(2 * file.size(), 'x');
  const UniqueFd known(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const json params = {{"name", "a"}, {"fd", true}};
  EXPECT_EQ(result("snapshot.export", params, {known.get()})["bytes"], file.size());
  EXPECT_EQ(content_of(known.get()), file) << "what it had before is gone";
  const auto refused = [&](const json& given, const std::vector<int>& descriptors, const std::string& code,
                           const std::string& text) {
    const auto answer = call("snapshot.export", given, descriptors);
    EXPECT_EQ(answer["error"]["data"]["name"], code) << answer;
    EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr(text));
  };
  const UniqueFd read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  refused(params, {read_only.get()}, "source", "not open for reading and writing");
  const UniqueFd write_only(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  refused(params, {write_only.get()}, "source", "not open for reading");
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd out(pipe[0]), in(pipe[1]);
  refused(params, {out.get()}, "invalid_params", "regular file");
  refused(params, {}, "invalid_params", "no descriptor came with the line");
  refused({{"name", "a"}}, {}, "invalid_params", "'fd'");
  const UniqueFd full(::memfd_create("full", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::fcntl(full.get(), F_ADD_SEALS, F_SEAL_GROW), 0);
  refused(params, {full.get()}, "source", "snapshot 'a' could not be written");
  EXPECT_EQ(exported("a"), file);
}

TEST_F(SnapshotMethods, AnotherCheckpointIsRefusedByName) {
  make("read by one", "a");
  const auto file = exported("a");
  std::filesystem::remove_all(*folder_ / "other");
  write_tiny_model(*folder_ / "other", 8);
  start({{"models", {(*folder_ / "other").string()}}});
  const auto refused =
      error("document.open", {{"plugins", scored()}, {"text", "x"}, {"from", "a"}, {"model", "other"}});
  EXPECT_EQ(refused["data"]["name"], "model");
  EXPECT_THAT(refused["message"].get<std::string>(),
              AllOf(HasSubstr("'a'"), HasSubstr("'model'"), HasSubstr("'other'")));
  Peer peer(socket());
  const auto import = peer.call("snapshot.import", {{"base64", base64_encode(file)}, {"model", "other"}});
  EXPECT_EQ(import["error"]["data"]["name"], "model") << import;
  // Without a model it is read on with the one that has read it.
  make("read by the other", "b");
  const auto made = result("snapshot.create", {{"text", "x"}, {"name", "c"}, {"model", "other"}});
  EXPECT_EQ(made["model"], "other");
  const auto id = result("document.open", {{"plugins", scored()}, {"text", "x"}, {"from", "c"}})["document"];
  EXPECT_EQ(result("document.status", {{"document", id}})["model"], "other");
}

TEST_F(SnapshotMethods, HttpMakesListsMovesAndDeletesThem) {
  const auto text = some_text(50);
  const auto expected = from(read(text + "the end\n"), text.size());
  EXPECT_THAT(request("PUT", "/v1/snapshots/my%20book?expires_s=3600&plugins=anomaly", text),
              AllOf(HasSubstr("200 OK"), HasSubstr("\"done\"")));
  const auto list = json::parse(body_of(request("GET", "/v1/snapshots")));
  ASSERT_EQ(list["snapshots"].size(), 1u);
  EXPECT_EQ(list["snapshots"][0]["name"], "my book");
  EXPECT_EQ(list["snapshots"][0]["bytes"], text.size());
  EXPECT_EQ(list["snapshots"][0]["plugins"][0]["name"], "anomaly");
  const auto answer = request("GET", "/v1/snapshots/my%20book");
  EXPECT_THAT(answer.substr(0, 300), HasSubstr("Content-Type: application/vnd.unroll.snapshot"));
  const auto file = body_of(answer);
  EXPECT_EQ(file, exported("my book"));
  EXPECT_THAT(request("DELETE", "/v1/snapshots/my%20book"), HasSubstr("200 OK"));
  EXPECT_THAT(request("GET", "/v1/snapshots/my%20book"),
              AllOf(HasSubstr("404"), HasSubstr("snapshot_unknown")));
  EXPECT_THAT(request("POST", "/v1/snapshots/a", "x"),
              AllOf(HasSubstr("405"), HasSubstr("Allow: PUT, GET, DELETE")));
  const std::string type = "Content-Type: application/vnd.unroll.snapshot\r\n";
  EXPECT_THAT(request("PUT", "/v1/snapshots/b", text, type), HasSubstr("it is no file of a snapshot"));
  EXPECT_THAT(request("PUT", "/v1/snapshots/b?plugins=score", file, type),
              AllOf(HasSubstr("409"), HasSubstr("has its own plugins")));
  EXPECT_THAT(request("PUT", "/v1/snapshots/b", file, type), AllOf(HasSubstr("200 OK"), HasSubstr("\"b\"")));
  const auto scored = request("PUT", "/v1/score?granularity=token&from=b", "the end\n");
  std::vector<std::string> lines;
  std::istringstream stream(scored);
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with('{')) lines.push_back(line);
  EXPECT_EQ(tokens_of(lines), expected) << scored;
  EXPECT_THAT(request("PUT", "/v1/score?from=none", "x"),
              AllOf(HasSubstr("404"), HasSubstr("no snapshot 'none'")));
}

}  // namespace
}  // namespace unroll::test
