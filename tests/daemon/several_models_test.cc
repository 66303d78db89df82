// One daemon with three models: the tests' own tiny one, the first; a tiny pretrained one; and the one that
// unroll comes with.
#include <fcntl.h>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SeveralModels : public DaemonCase {
 protected:
  void SetUp() override {
    fs::remove_all(*folder_ / "llama");
    write_tiny_pretrained(*folder_ / "llama");
    start(settings());
  }
  static json settings(json limits = json::object()) {
    return {{"models",
             {{{"name", "books"}, {"path", (*folder_ / "llama").string()}, {"settings", "block_width=32"}},
              UNROLL_SOURCE_DIR "/models/unroll-small"}},
            {"journal", {{"commit_blocks", 2}}},
            {"limits", std::move(limits)}};
  }
  static json request(const std::string& model, const char* source, json value) {
    return {{"plugins", scored()}, {"model", model}, {source, std::move(value)}};
  }
  static Peer::Document read_by(const std::string& model, const std::string& text) {
    Peer peer(socket());
    const auto answer = peer.call("document.open", request(model, "text", text));
    return peer.read_document(answer.at("result").at("document"));
  }
  static json listed(const std::string& name) {
    const auto info = Peer(socket()).call("server.info", json::object());
    for (const auto& model : info.at("result").at("models")) {
      if (model["name"] == name) return model;
    }
    return nullptr;
  }
  static std::string put(const std::string& target, const std::string& body) {
    return http(socket(), "PUT " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  static std::string get(const std::string& target) {
    return http(socket(), "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  static json error_of(const json& request) { return Peer(socket()).call("document.open", request)["error"]; }
};

TEST_F(SeveralModels, TwentyDocumentsOfEachReadTogetherGiveWhatTheyGiveAlone) {
  constexpr int kDocuments = 20;
  const std::vector<std::string> models = {"books", "unroll-small"};
  std::map<std::string, std::vector<std::vector<std::string>>> alone;
  std::vector<std::string> texts;
  for (int i = 0; i < kDocuments; ++i) texts.push_back(some_text(40 + i));
  for (const auto& model : models) {
    for (const auto& text : texts) alone[model].push_back(read_by(model, text).outputs);
  }
  ASSERT_NE(alone["books"], alone["unroll-small"]);
  Peer peer(socket());
  std::vector<std::pair<std::string, json>> documents;
  for (const auto& text : texts) {
    for (const auto& model : models) {
      const auto opened = peer.call("document.open", request(model, "text", text));
      documents.emplace_back(model, opened.at("result").at("document"));
    }
  }
  auto read = peer.read_documents(documents.size());
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto& [model, id] = documents[i];
    EXPECT_EQ(read[id].end["method"], "document.done") << read[id].end;
    EXPECT_EQ(read[id].outputs, alone[model][i / 2]) << model << " " << i;
    EXPECT_EQ(peer.call("document.status", {{"document", id}})["result"]["model"], model);
  }
  EXPECT_THAT(put("/v1/score?granularity=line&model=books", texts[0]), HasSubstr("\"done\""));
}

TEST_F(SeveralModels, EachIsLoadedWhenItIsAskedForAndListed) {
  const auto info = Peer(socket()).call("server.info", json::object())["result"];
  ASSERT_EQ(info["models"].size(), 3u);
  EXPECT_EQ(info["models"][0]["name"], "model");
  EXPECT_EQ(info["models"][0]["loaded"], true);
  EXPECT_EQ(info["models"][0]["family"], "block_recurrent_transformer");
  EXPECT_EQ(info["model"]["name"], "model");
  auto books = listed("books");
  EXPECT_EQ(books["loaded"], false);
  EXPECT_EQ(books["family"], "llama");
  EXPECT_GT(books["parameters"], 0);
  EXPECT_EQ(books["bytes"], 0);
  EXPECT_EQ(books["documents"], 0);
  EXPECT_THAT(get("/metrics"), HasSubstr("unroll_model_loaded{model=\"books\"} 0\n"));

  Peer peer(socket());
  const auto id = peer.call("document.open", request("books", "stream", true))["result"]["document"];
  books = listed("books");
  EXPECT_EQ(books["loaded"], true);
  EXPECT_GE(books["bytes"], books["parameters"]);
  EXPECT_EQ(books["documents"], 1);
  EXPECT_EQ(listed("unroll-small")["loaded"], false);
  peer.call("document.append", {{"document", id}, {"text", some_text(40)}});
  peer.call("document.end", {{"document", id}});
  peer.read_document(id);
  EXPECT_EQ(listed("books")["documents"], 0);
  EXPECT_THAT(get("/metrics"), AllOf(HasSubstr("unroll_model_loaded{model=\"books\"} 1\n"),
                                     HasSubstr("unroll_model_loads_total{model=\"books\"} 1\n"),
                                     HasSubstr("unroll_model_tokens_total{model=\"model\"} 0\n"),
                                     Not(HasSubstr("unroll_model_tokens_total{model=\"books\"} 0\n"))));
  EXPECT_THAT(log(), HasSubstr("model books: loaded in"));
  // Asked about by name, a model is loaded, as only then all of it is known.
  const auto small = peer.call("server.info", {{"model", "unroll-small"}})["result"]["model"];
  EXPECT_EQ(small["name"], "unroll-small");
  EXPECT_NE(small["checkpoint"], info["model"]["checkpoint"]);
  EXPECT_EQ(listed("unroll-small")["loaded"], true);
}

TEST_F(SeveralModels, AnUnknownNameIsToldTheKnownOnes) {
  const auto error = error_of(request("nothing", "text", "x"));
  EXPECT_EQ(error["data"]["name"], "model_unknown");
  EXPECT_THAT(error["message"], HasSubstr("no model 'nothing'; there are: model, books, unroll-small"));
  EXPECT_EQ(Peer(socket()).call("server.info", {{"model", "nothing"}})["error"], error);
  EXPECT_THAT(put("/v1/score?model=nothing", "x"),
              AllOf(HasSubstr("HTTP/1.1 404"), HasSubstr("books, unroll-small")));
  EXPECT_THAT(put("/v1/score?model", "x"), AllOf(HasSubstr("HTTP/1.1 400"), HasSubstr("?model=NAME")));
}

TEST_F(SeveralModels, OneThatCannotBeLoadedFailsTheDocumentsThatAskForItAlone) {
  const auto text = some_text(40);
  const auto before = read_text(text).outputs;
  fs::resize_file(*folder_ / "llama" / "model.safetensors", 1000);
  const auto error = error_of(request("books", "text", "x"));
  EXPECT_EQ(error["data"]["name"], "model");
  EXPECT_THAT(error["message"], AllOf(HasSubstr((*folder_ / "llama").string()), HasSubstr("'models'")));
  EXPECT_THAT(put("/v1/score?model=books", "x"), HasSubstr("HTTP/1.1 500"));
  EXPECT_THAT(log(), HasSubstr("model books: not loaded: "));
  EXPECT_THAT(get("/metrics"),
              HasSubstr("unroll_events_total{event=\"model_not_loaded\",reason=\"model\"} 1\n"));
  EXPECT_THAT(get("/readyz"), HasSubstr("200 OK"));
  EXPECT_EQ(read_text(text).outputs, before);
  EXPECT_EQ(read_by("unroll-small", text).end["method"], "document.done");
  start(settings());
  EXPECT_THAT(log(), HasSubstr("model books in '" + (*folder_ / "llama").string() + "' cannot be read"));
  EXPECT_EQ(read_text(text).outputs, before);
}

TEST_F(SeveralModels, AfterAKillTheDocumentsOfBothGoOnEachWithItsOwn) {
  const auto text = some_text(2500);
  const auto file = (*folder_ / "text").string();
  write_file(file, text);
  const std::vector<std::string> models = {"books", "model"};
  std::map<std::string, std::vector<std::string>> expected;
  for (const auto& model : models) expected[model] = read_by(model, text).outputs;
  Peer peer(socket());
  std::map<std::string, std::string> streams, files;  // by document: its model
  for (const auto& model : models) {
    const auto answer = peer.call("document.open", request(model, "stream", true));
    const std::string stream = answer.at("result").at("document");
    streams[stream] = model;
    const auto half = text.substr(0, text.find('\n', text.size() / 2) + 1);
    peer.call("document.append", {{"document", stream}, {"text", half}});
  }
  for (const auto& model : models) {
    const UniqueFd descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const auto answer = peer.call("document.open", request(model, "fd", true), {descriptor.get()});
    files[answer.at("result").at("document")] = model;
  }
  constexpr int kHeard = 30;
  std::map<std::string, int> heard;
  const auto enough = [](const auto& entry) { return entry.second >= kHeard; };
  while (std::ranges::count_if(heard, enough) < 4) {
    const auto message = peer.notification();
    ASSERT_NE(message["method"], "document.done") << "too short to be killed in its middle";
    if (message["method"] == "document.output") ++heard[message["params"]["document"]];
  }
  process().stop(SIGKILL);
  start(settings());
  for (const auto& [id, model] : streams) {
    Peer client(socket());
    EXPECT_EQ(client.call("document.status", {{"document", id}})["result"]["model"], model);
    json resume{{"plugins", scored()}, {"stream", true}, {"resume", id}};
    auto wrong = resume;
    wrong["model"] = "unroll-small";
    EXPECT_THAT(error_of(wrong)["message"], HasSubstr("was opened with model '" + model + "'"));
    const auto opened = client.call("document.open", resume);
    ASSERT_TRUE(opened.contains("result")) << opened;
    const std::size_t from = opened["result"]["resume_bytes"];
    EXPECT_GT(from, 0u);
    client.call("document.append", {{"document", id}, {"text", text.substr(from)}});
    client.call("document.end", {{"document", id}});
    client.read_document(id);
  }
  const auto is_file = [names = files](const std::string& id) { return names.contains(id); };
  streams.merge(files);
  for (const auto& [id, model] : streams) {
    Peer client(socket());
    ASSERT_TRUE(client.call("document.attach", {{"document", id}}).contains("result"));
    const auto read = client.read_document(id);
    EXPECT_EQ(read.end["method"], "document.done") << read.end;
    EXPECT_EQ(read.outputs, expected[model]) << model << (is_file(id) ? ", a file" : ", a stream");
  }
}

TEST_F(SeveralModels, AnotherCheckpointUnderTheNameIsRefused) {
  std::string id;
  {
    Peer peer(socket());
    id = peer.call("document.open", request("books", "stream", true))["result"]["document"];
    peer.call("document.append", {{"document", id}, {"text", some_text(400)}});
    while (peer.call("document.status", {{"document", id}})["result"]["outputs"] < 50) ::poll(nullptr, 0, 20);
  }
  process().stop(SIGKILL);
  fs::remove_all(*folder_ / "llama");
  write_tiny_pretrained(*folder_ / "llama", 8);
  start(settings());
  const json resume{{"plugins", scored()}, {"stream", true}, {"resume", id}};
  auto error = error_of(resume);
  EXPECT_EQ(error["data"]["name"], "model");
  EXPECT_THAT(error["message"], AllOf(HasSubstr(id), HasSubstr("another checkpoint"), HasSubstr("'books'")));
  // Nor is it read by the first model where the list has no such name.
  start();
  error = error_of(resume);
  EXPECT_EQ(error["data"]["name"], "model");
  EXPECT_THAT(error["message"], AllOf(HasSubstr(id), HasSubstr("model 'books'"), HasSubstr("'model'")));
  fs::remove_all(*folder_ / "llama");
  write_tiny_pretrained(*folder_ / "llama");
  auto renamed = settings();
  renamed["models"][0]["name"] = "novels";
  start(renamed);
  EXPECT_EQ(error_of(resume)["data"]["name"], "model") << "only the first is tried for a name that is gone";
  start(settings());
  EXPECT_TRUE(Peer(socket()).call("document.open", resume).contains("result"));
}

TEST_F(SeveralModels, AReloadChangesTheListAndOpenDocumentsEndOnTheirs) {
  const auto text = some_text(100);
  const auto middle = text.find('\n', text.size() / 2) + 1;
  const auto expected = read_by("books", text).outputs;
  Peer peer(socket());
  const auto id = peer.call("document.open", request("books", "stream", true))["result"]["document"];
  peer.call("document.append", {{"document", id}, {"text", text.substr(0, middle)}});
  auto changed = settings();
  changed["models"][0] = {
      {"name", "novels"}, {"path", (*folder_ / "llama").string()}, {"settings", "block_width=32"}};
  write_file(*folder_ / "settings.json", changed.dump());
  EXPECT_EQ(peer.call("server.reload", json::object())["result"]["model"]["name"], "model");
  EXPECT_EQ(error_of(request("books", "text", "x"))["data"]["name"], "model_unknown");
  EXPECT_EQ(read_by("novels", text).outputs, expected);
  peer.call("document.append", {{"document", id}, {"text", text.substr(middle)}});
  peer.call("document.end", {{"document", id}});
  EXPECT_EQ(peer.read_document(id).outputs, expected);
  // A list that is wrong changes nothing.
  changed["models"].push_back(changed["models"][0]);
  write_file(*folder_ / "settings.json", changed.dump());
  EXPECT_THAT(peer.call("server.reload", json::object())["error"]["message"],
              HasSubstr("'novels' is there twice"));
  EXPECT_EQ(read_by("novels", text).outputs, expected);
}

TEST_F(SeveralModels, AnUnusedOneIsUnloadedAndComesBack) {
  start(settings({{"model_idle_ms", 100}}));
  const auto text = some_text(60);
  Peer peer(socket());
  const auto id = peer.call("document.open", request("books", "stream", true))["result"]["document"];
  const auto expected = read_by("unroll-small", text).outputs;
  const auto workers_started = [&peer] {
    return peer.call("server.stats", json::object())["result"]["workers_started"].get<int>();
  };
  const int started = workers_started();
  for (int tries = 0; listed("unroll-small")["loaded"] == true && tries < 1500; ++tries)
    ::poll(nullptr, 0, 20);
  EXPECT_EQ(listed("unroll-small")["loaded"], false);
  EXPECT_EQ(listed("unroll-small")["bytes"], 0);
  EXPECT_GE(workers_started(), started) << "a counter never falls";
  EXPECT_EQ(listed("books")["loaded"], true) << "a document of it is open";
  EXPECT_EQ(listed("model")["loaded"], true) << "the first stays";
  EXPECT_EQ(read_by("unroll-small", text).outputs, expected);
  peer.call("document.end", {{"document", id}});
}

TEST_F(SeveralModels, OneThatDoesNotFitIsRefusedWhileOthersAreInUse) {
  const auto bytes = [](const std::string& name) {
    Peer(socket()).call("server.info", {{"model", name}});
    return listed(name)["bytes"].get<std::uint64_t>();
  };
  const auto both = bytes("model") + std::max(bytes("books"), bytes("unroll-small"));
  start(settings({{"model_memory_bytes", both + 1000}}));
  Peer peer(socket());
  const auto id = peer.call("document.open", request("books", "stream", true))["result"]["document"];
  const auto error = error_of(request("unroll-small", "text", "x"));
  EXPECT_EQ(error["data"]["name"], "limit");
  EXPECT_EQ(error["data"]["limit"], "limits.model_memory_bytes");
  peer.call("document.end", {{"document", id}});
  peer.read_document(id);
  json refused = error;  // until the document's last reference is gone, a moment after its end
  for (int tries = 0; !refused.is_null() && tries < 500; ++tries) {
    refused = error_of(request("unroll-small", "text", "x"));
    if (!refused.is_null()) ::poll(nullptr, 0, 20);
  }
  EXPECT_TRUE(refused.is_null()) << refused;
  EXPECT_EQ(listed("books")["loaded"], false) << "it made room";
}

}  // namespace
}  // namespace unroll::test
