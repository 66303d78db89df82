// The paths that follow OpenAI's API.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "base/base64.h"
#include "tests/daemon/daemon_case.h"
#include "tests/daemon/http_answer.h"

namespace unroll::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class OpenAi : public DaemonCase {
 protected:
  static std::string send(const std::string& path, const std::string& body, const char* method = "POST") {
    return http(socket(), std::string(method) + " " + path +
                              " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  /// The body of the response, which must be a success.
  static json ask(const std::string& path, const json& body) {
    const auto answer = send(path, body.dump());
    EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 200"));
    return json::parse(body_of(answer));
  }
  static std::string body_of(const std::string& answer) {
    auto body = answer.substr(answer.find("\r\n\r\n") + 4);
    if (answer.find("Transfer-Encoding: chunked") == std::string::npos) return body;
    std::string whole;
    while (!body.empty()) {
      const auto size = std::stoul(body, nullptr, 16);
      if (size == 0) break;
      const auto begin = body.find("\r\n") + 2;
      whole += body.substr(begin, size);
      body.erase(0, begin + size + 2);
    }
    return whole;
  }
  static std::vector<std::string> outputs(const std::string& plugin, const json& options,
                                          const std::string& text) {
    Peer peer(socket());
    const auto opened =
        peer.call("document.open", {{"plugins", {{{"name", plugin}, {"options", options}}}}, {"text", text}});
    auto outputs = peer.read_document(opened.at("result").at("document")).outputs;
    for (auto& output : outputs) output.erase(0, output.find(' ', output.find(' ') + 1) + 1);
    return outputs;
  }
  static double nats(const std::string& text) {
    return json::parse(outputs("score", {{"granularity", "document"}}, text).back())["nats"];
  }
};

TEST_F(OpenAi, ACompletionEchoesEachTokenWithItsProbability) {
  std::string text;
  for (int i = 0; i < 90; ++i) text += "line " + std::to_string(i * 7919 % 1000) + " of the greater whale\n";
  const auto answer =
      ask("/v1/completions", {{"prompt", text}, {"echo", true}, {"max_tokens", 0}, {"logprobs", 3}});
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["model"], "model");
  const auto& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], text);
  EXPECT_EQ(choice["finish_reason"], "length");
  const auto& logprobs = choice["logprobs"];
  double sum = 0;
  std::string joined;
  for (std::size_t i = 0; i < logprobs["tokens"].size(); ++i) {
    sum -= logprobs["token_logprobs"][i].get<double>();
    const auto& top = logprobs["top_logprobs"][i];
    EXPECT_EQ(top.size(), 3u);
    for (const auto& [token, logprob] : top.items()) {
      if (logprobs["tokens"][i] == json(token)) {
        EXPECT_EQ(logprob, logprobs["token_logprobs"][i]);
      }
    }
    EXPECT_EQ(logprobs["text_offset"][i], joined.size());
    joined += logprobs["tokens"][i];
  }
  EXPECT_EQ(joined, text);
  EXPECT_NEAR(sum, nats(text), nats(text) * 1e-4);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], logprobs["tokens"].size());
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
}

TEST_F(OpenAi, OneTokenIsPredictedAndChangesNothingBefore) {
  const std::string text = "It was a dark and stormy";
  const json request = {{"prompt", text}, {"echo", true}, {"logprobs", 2}, {"temperature", 0}};
  auto more = request, none = request;
  more["max_tokens"] = 1;
  none["max_tokens"] = 0;
  const auto predicted = ask("/v1/completions", more), echoed = ask("/v1/completions", none);
  auto tokens = predicted["choices"][0]["logprobs"]["token_logprobs"];
  const double last = tokens.back();
  tokens.erase(tokens.size() - 1);
  const auto& before = echoed["choices"][0]["logprobs"]["token_logprobs"];
  ASSERT_EQ(tokens.size(), before.size());
  // Equal up to the rounding of bf16: a block's rotary angles count from its end.
  for (std::size_t i = 0; i < tokens.size(); ++i) EXPECT_NEAR(tokens[i], before[i], 0.02) << i;
  EXPECT_EQ(predicted["usage"]["completion_tokens"], 1);
  const std::string next = predicted["choices"][0]["logprobs"]["tokens"].back();
  EXPECT_EQ(predicted["choices"][0]["text"], text + next);
  // What is expected is what that token would have had.
  const auto whole =
      ask("/v1/completions", {{"prompt", text + next}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 0}});
  const auto& logprobs = whole["choices"][0]["logprobs"];
  if (logprobs["tokens"].back() == next) {
    EXPECT_NEAR(logprobs["token_logprobs"].back(), last, 0.02);
  }
  more["echo"] = false;
  EXPECT_EQ(ask("/v1/completions", more)["choices"][0]["text"], next);
}

TEST_F(OpenAi, TokensAreWrittenOneAfterAnother) {
  const std::vector<std::string> prompts = {some_text(30), "It was"};
  const json how = {{"prompt", prompts}, {"max_tokens", 4}, {"logprobs", 2}};
  const auto written = ask("/v1/completions", how);
  EXPECT_EQ(written["usage"]["completion_tokens"], 8);
  auto echoed = how;
  echoed["echo"] = true;
  const auto whole = ask("/v1/completions", echoed);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    // What each prediction of one token gives, one after the other.
    auto text = prompts[i];
    const auto& choice = written["choices"][i];
    EXPECT_EQ(choice["finish_reason"], "length");
    for (std::size_t at = 0; at < 4; ++at) {
      const auto next =
          ask("/v1/completions", {{"prompt", text}, {"max_tokens", 1}, {"logprobs", 2}})["choices"][0];
      EXPECT_EQ(choice["logprobs"]["tokens"][at], next["logprobs"]["tokens"][0]) << at;
      EXPECT_EQ(choice["logprobs"]["top_logprobs"][at], next["logprobs"]["top_logprobs"][0]) << at;
      text += next["text"];
    }
    EXPECT_EQ(prompts[i] + choice["text"].get<std::string>(), text);
    EXPECT_EQ(whole["choices"][i]["text"], text);
    EXPECT_EQ(whole["choices"][i]["logprobs"]["text_offset"].size(),
              whole["choices"][i]["logprobs"]["tokens"].size());
  }
  EXPECT_EQ(ask("/v1/completions", {{"prompt", "x"}})["usage"]["completion_tokens"], 16);
  // A text of `stop` is cut off, with what follows.
  for (const auto& choice : written["choices"]) {
    const std::string text = choice["text"], stop = choice["logprobs"]["tokens"][1];
    if (text.find(stop) == std::string::npos) continue;  // bytes that are no character
    const json request = {{"prompt", prompts[choice["index"]]}, {"max_tokens", 4}, {"stop", {"\x01", stop}}};
    const auto stopped = ask("/v1/completions", request)["choices"][0];
    EXPECT_EQ(stopped["text"], text.substr(0, text.find(stop)));
    EXPECT_EQ(stopped["finish_reason"], "stop");
  }
}

TEST_F(OpenAi, ALongPromptIsReadOnceHoweverManyTokensFollow) {
  const auto tokens_read = [] {
    const auto metrics = http(socket(), "GET /metrics HTTP/1.1\r\nHost: u\r\nConnection: close\r\n\r\n");
    const std::string name = "\nunroll_tokens_total ";
    return std::stod(metrics.substr(metrics.find(name) + name.size()));
  };
  auto text = some_text(1800);
  ASSERT_GT(text.size(), 32'000u);
  const auto before = tokens_read();
  const auto written = ask("/v1/completions", {{"prompt", text}, {"max_tokens", 8}, {"logprobs", 1}});
  const auto& choice = written["choices"][0];
  EXPECT_LT(tokens_read() - before, 2 * written["usage"]["prompt_tokens"].get<double>());
  for (std::size_t at = 0; at < 8; ++at) {
    const auto next =
        ask("/v1/completions", {{"prompt", text}, {"max_tokens", 1}, {"logprobs", 1}})["choices"][0];
    EXPECT_EQ(choice["logprobs"]["tokens"][at], next["logprobs"]["tokens"][0]) << at;
    EXPECT_EQ(choice["logprobs"]["token_logprobs"][at], next["logprobs"]["token_logprobs"][0]) << at;
    text += next["text"];
  }
  Peer peer(socket());
  const auto snapshots = [&] { return peer.call("snapshot.list", json::object())["result"]["snapshots"]; };
  for (int i = 0; i < 100 && !snapshots().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(snapshots(), testing::IsEmpty());
}

TEST_F(OpenAi, ManyPromptsAreReadSomeAtATime) {
  std::vector<std::string> prompts;
  for (int i = 0; i < 100; ++i) prompts.push_back(i % 3 == 0 ? "" : some_text(i % 7));
  const auto written = ask("/v1/completions", {{"prompt", prompts}, {"max_tokens", 3}, {"echo", true}});
  ASSERT_EQ(written["choices"].size(), prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(written["choices"][i]["index"], i);
    EXPECT_TRUE(written["choices"][i]["text"].get<std::string>().starts_with(prompts[i])) << i;
  }
}

TEST_F(OpenAi, PromptsAreTextsOrTheIdsOfTheirTokens) {
  const std::vector<std::string> texts = {some_text(3), "", some_text(600), "Grüße 🙂"};
  json ids = json::array();
  for (const auto& text : texts) {
    const auto answer = ask("/tokenize", {{"prompt", text}});
    EXPECT_EQ(answer["count"], answer["tokens"].size());
    ids.push_back(answer["tokens"]);
  }
  const json how = {{"echo", true}, {"max_tokens", 0}, {"logprobs", 0}};
  auto by_text = how, by_ids = how;
  by_text["prompt"] = texts;
  by_ids["prompt"] = ids;
  const auto expected = ask("/v1/completions", by_text);
  ASSERT_EQ(expected["choices"].size(), texts.size());
  EXPECT_EQ(ask("/v1/completions", by_ids)["choices"], expected["choices"]);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(expected["choices"][i]["index"], i);
    EXPECT_EQ(expected["choices"][i]["text"], texts[i]);
    EXPECT_TRUE(expected["choices"][i]["logprobs"]["top_logprobs"].is_null());
  }
  std::swap(ids[0][0], ids[0][1]);
  by_ids["prompt"] = ids[0];
  EXPECT_THAT(send("/v1/completions", by_ids.dump()),
              AllOf(HasSubstr("HTTP/1.1 409"), HasSubstr("/tokenize")));
}

TEST_F(OpenAi, EmbeddingsAreThoseOfThePlugin) {
  const std::vector<std::string> texts = {some_text(5), "some words"};
  const auto answer = ask("/v1/embeddings", {{"input", texts}, {"model", nullptr}});
  ASSERT_EQ(answer["data"].size(), 2u);
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(answer["data"][i]["embedding"],
              json::parse(outputs("embed", json::object(), texts[i]).back())["vector"]);
  const auto packed = ask("/v1/embeddings", {{"input", texts[1]}, {"encoding_format", "base64"}});
  const auto bytes = base64_decode(packed["data"][0]["embedding"].get<std::string>());
  ASSERT_TRUE(bytes);
  float first = 0;
  std::memcpy(&first, bytes->data(), sizeof first);
  EXPECT_FLOAT_EQ(first, answer["data"][1]["embedding"][0]);
}

TEST_F(OpenAi, ModelsAreListedAndErrorsNameTheField) {
  const auto models = send("/v1/models", "", "GET");
  EXPECT_THAT(models, AllOf(HasSubstr("\"id\":\"model\""), HasSubstr("\"object\":\"list\"")));
  const auto refused = [](const std::string& path, const std::string& body) { return send(path, body); };
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":"x","max_tokens":257})"),
              AllOf(HasSubstr("HTTP/1.1 400"), HasSubstr("'max_tokens'")));
  for (const char* stop : {R"("")", "7", R"(["a",""])", R"(["a","b","c","d","e"])"})
    EXPECT_THAT(refused("/v1/completions", std::string(R"({"prompt":"x","stop":)") + stop + "}"),
                HasSubstr("'stop' must be a text"));
  EXPECT_THAT(refused("/v1/completions", R"({"echo":true,"max_tokens":0})"),
              HasSubstr("'prompt' must be given"));
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":[[1,"x"]],"echo":true,"max_tokens":0})"),
              HasSubstr("'prompt'"));
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":[0.5],"echo":true,"max_tokens":0})"),
              HasSubstr("'prompt'"));
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":[7.0],"echo":true,"max_tokens":0})"),
              testing::Not(HasSubstr("'prompt'")));
  EXPECT_THAT(refused("/tokenize", R"({"prompt":{},"content":""})"), HasSubstr("'prompt' must be a string"));
  EXPECT_THAT(
      refused("/v1/completions", R"({"prompt":"x","echo":true,"max_tokens":0.0,"logprobs":2.0,"n":null})"),
      HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(refused("/tokenize", R"({"":null,"content":""})"), HasSubstr("unknown parameter ''"));
  EXPECT_THAT(refused("/tokenize", "{}"), HasSubstr("'prompt' must be given"));
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":[[99999999]],"echo":true,"max_tokens":0})"),
              HasSubstr("vocabulary"));
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":"x","echo":true,"max_tokens":0,"stream":true})"),
              HasSubstr("'stream'"));
  EXPECT_THAT(refused("/v1/completions", R"({"prompt":"x","model":"nothing","echo":true,"max_tokens":0})"),
              AllOf(HasSubstr("HTTP/1.1 404"), HasSubstr("there are: model")));
  EXPECT_THAT(refused("/v1/embeddings", "{"), HasSubstr("the body is not JSON"));
  EXPECT_THAT(refused("/v1/embeddings", R"({"input":"x","colour":1})"),
              HasSubstr("unknown parameter 'colour'"));
  EXPECT_THAT(send("/v1/embeddings", "", "GET"), AllOf(HasSubstr("HTTP/1.1 405"), HasSubstr("Allow: POST")));
}

TEST_F(OpenAi, ThePathsAndMethodsOfTheDescriptionAreServed) {
  const auto description = json::parse(body_of(send("/openapi.json", "", "GET")));
  EXPECT_EQ(description["openapi"], "3.1.0");
  const std::map<std::string, std::string> templates = {
      {"/v1/{plugin}", "/v1/score"},
      {"/v1/snapshots/{name}", "/v1/snapshots/a"},
      {"/v1/documents/{id}", "/v1/documents/a"},
      {"/v1/documents/{id}/cancel", "/v1/documents/a/cancel"},
      {"/v1/documents/{id}/events", "/v1/documents/a/events"}};
  for (const auto& [path, methods] : description["paths"].items()) {
    const auto named = templates.find(path);
    const auto target = named == templates.end() ? path : named->second;
    EXPECT_EQ(target.find('{'), std::string::npos) << path;
    for (const auto& [method, ignored] : methods.items()) {
      auto verb = method;
      std::ranges::transform(verb, verb.begin(), [](unsigned char c) { return std::toupper(c); });
      const bool has_body = verb == "PUT" || verb == "POST";
      EXPECT_THAT(send(target, has_body ? "{" : "", verb.c_str()),
                  AllOf(Not(HasSubstr("no path")), Not(HasSubstr("HTTP/1.1 405"))))
          << verb << ' ' << path;
    }
  }
}

TEST_F(OpenAi, NothingIsKept) {
  ask("/v1/completions", {{"prompt", {"one", "two"}}, {"echo", true}, {"max_tokens", 0}});
  Peer peer(socket());
  std::size_t kept = 2;
  for (int tries = 0; kept > 0 && tries < 500; ++tries, ::poll(nullptr, 0, 10)) {
    kept = 0;
    const auto list = peer.call("document.list", {{"limit", 100}});
    for (const auto& document : list.at("result").at("documents"))
      kept += document["name"] == "http logprobs" ? 1 : 0;
  }
  EXPECT_EQ(kept, 0u);
}

TEST_F(OpenAi, ALongRequestSaysSomethingWhileItIsReadAndEndsWithItsClient) {
  const json request = {{"prompt", some_text(20'000)}, {"echo", true}, {"max_tokens", 0}};
  {
    Peer client(socket());
    const auto body = request.dump();
    client.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
    EXPECT_THAT(client.line().value_or(""), HasSubstr("200 OK"));
  }
  Peer peer(socket());
  json stats;
  for (int tries = 0; tries < 1000; ++tries) {
    stats = peer.call("server.stats", json::object())["result"];
    if (stats["open_documents"] == 0) break;
    ::poll(nullptr, 0, 10);
  }
  EXPECT_EQ(stats["open_documents"], 0);
  EXPECT_EQ(stats["documents_failed"], 1);
}

/// The answer is 16 times as large as the limit on what its user may buffer.
TEST_F(OpenAi, ALargeResultIsSentWhileItIsMade) {
  start({{"limits", {{"buffered_bytes_per_user", 1'500'000}, {"outgoing_bytes", 65'536}}}});
  const auto text = some_text(6000);
  const json request = {
      {"prompt", {"before", text, "after"}}, {"echo", true}, {"logprobs", 20}, {"max_tokens", 1}};
  auto few = request;
  few["prompt"] = {"before", some_text(20), "after"};
  const auto expected = ask("/v1/completions", few)["choices"];
  Peer watcher(socket());
  const auto stats = [&] { return watcher.call("server.stats", json::object())["result"]; };
  const auto before = stats();
  Peer client(socket());
  const auto body = request.dump();
  client.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  // All is read, but the answer is not: it waits in the journal.
  const std::uint64_t tokens = before["tokens"];
  const std::uint64_t all = tokens + ask("/tokenize", {{"prompt", text}})["count"].get<std::uint64_t>();
  for (int tries = 0; tries < 10'000 && stats()["tokens"] < all; ++tries) ::poll(nullptr, 0, 10);
  EXPECT_GE(stats()["tokens"], all);
#if !defined(__SANITIZE_THREAD__)  // its shadow memory grows
  EXPECT_LT(stats()["resident_bytes"].get<std::size_t>(),
            before["resident_bytes"].get<std::size_t>() + (32u << 20));
#endif
  const auto answer = parse_answer(client.rest());
  EXPECT_EQ(answer.status, 200);
  EXPECT_GT(answer.body.size(), 24u << 20);
  const auto result = json::parse(answer.body);
  const auto& choice = result["choices"][1];
  const auto size = [](const json& one, const char* list) { return one["logprobs"][list].size(); };
  for (const auto* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(size(choice, list) + size(expected[0], list) + size(expected[2], list),
              result["usage"]["total_tokens"])
        << list;
  }
  EXPECT_TRUE(choice["text"].get<std::string>().starts_with(text));
  for (const std::size_t other : {0u, 2u}) EXPECT_EQ(result["choices"][other], expected[other]);
}

TEST_F(OpenAi, AResultThatCannotFitIsRefusedAtOnce) {
  start({{"limits", {{"buffered_bytes_per_user", 65'536}}}});
  const auto text = some_text(500);
  const auto refused = send(
      "/v1/completions", json{{"prompt", text}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 0}}.dump());
  EXPECT_THAT(refused,
              AllOf(HasSubstr("HTTP/1.1 413"), HasSubstr("limits.buffered_bytes_per_user is 65536"),
                    HasSubstr(std::to_string(9 * text.size()) + " bytes"), Not(HasSubstr("choices"))));
  // Its text alone fits.
  EXPECT_EQ(
      ask("/v1/completions", {{"prompt", text}, {"echo", true}, {"max_tokens", 0}})["choices"][0]["text"],
      text);
}

/// A client must not take a part for the whole.
TEST_F(OpenAi, AResultThatFailsAfterItsBeginningIsCutOff) {
  start({{"limits", {{"journal_bytes_per_user", 1 << 20}}}});
  const json request = {{"prompt", some_text(3000)}, {"echo", true}, {"logprobs", 20}, {"max_tokens", 0}};
  const auto answer = send("/v1/completions", request.dump());
  EXPECT_THAT(answer, AllOf(testing::StartsWith("HTTP/1.1 200"), HasSubstr("top_logprobs"),
                            HasSubstr("limits.journal_bytes_per_user is 1048576")));
  EXPECT_THAT(answer, Not(testing::EndsWith("0\r\n\r\n")));
}

}  // namespace
}  // namespace unroll::test
