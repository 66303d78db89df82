// HTTP on the daemon's socket, parsed to the last byte of its framing.
#include <map>
#include <sstream>

#include "tests/daemon/daemon_case.h"
#include "tests/daemon/http_answer.h"

namespace unroll::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class Http : public DaemonCase {
 protected:
  static HttpAnswer ask(const std::string& request) {
    Peer peer(socket());
    peer.send(request);
    peer.close_sending();  // otherwise the connection waits for another request
    return parse_answer(peer.rest());
  }
  static std::string with_length(const std::string& target, const std::string& body,
                                 const std::string& version = "1.1", const std::string& fields = "") {
    return "PUT " + target + " HTTP/" + version + "\r\nHost: unroll\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string with_chunks(const std::string& target, const std::string& body, std::size_t size) {
    std::string request =
        "POST " + target + " HTTP/1.1\r\nHost: unroll\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (std::size_t i = 0; i < body.size(); i += size) {
      const auto piece = body.substr(i, size);
      std::ostringstream head;
      head << std::hex << piece.size() << ";extension=1\r\n";
      request += head.str() + piece + "\r\n";
    }
    return request + "0\r\nTrailer: none\r\n\r\n";
  }
  /// The result by JSON-RPC: each output's data.
  static std::vector<std::string> data_of(const json& options, const std::string& text) {
    Peer peer(socket());
    const json plugins = json::array({{{"name", "score"}, {"options", options}}});
    const auto opened = peer.call("document.open", {{"plugins", plugins}, {"text", text}});
    std::vector<std::string> data;
    for (const auto& output : peer.read_document(opened["result"]["document"]).outputs) {
      data.push_back(output.substr(output.find('{')));
    }
    return data;
  }
  static void expect_refused(const std::string& request, int status, const std::string& name,
                             const std::string& text) {
    const auto answer = ask(request);
    EXPECT_EQ(answer.status, status) << request.substr(0, 200);
    const auto error = json::parse(answer.body).at("error");
    EXPECT_EQ(error["data"]["name"], name) << answer.body;
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(text));
    EXPECT_FALSE(error["data"]["advice"].get<std::string>().empty());
  }
};

TEST_F(Http, ADocumentsAnswerIsThatOfJsonRpc) {
  const auto text = some_text(150);
  const auto expected = data_of({{"granularity", "line"}, {"top", 3}}, text);
  const std::string target = "/v1/score?granularity=line&&top=3";
  for (const auto& request :
       {with_length(target, text), with_length(target, text, "1.0"), with_chunks(target, text, 1),
        with_chunks("/v1/score?gr%61nularity=l%69ne&top=3", text, 1000),
        with_length(target, text, "1.1", "Expect: 100-continue\r\n")}) {
    const auto answer = ask(request);
    ASSERT_EQ(answer.status, 200);
    EXPECT_EQ(answer.fields.at("Content-Type"), "application/x-ndjson");
    EXPECT_EQ(answer.fields.contains("Transfer-Encoding"), request.find("HTTP/1.1") != std::string::npos);
    auto lines = lines_of(answer.body);
    std::erase_if(lines, [](const std::string& line) { return line.starts_with("{\"progress\""); });
    const auto last = json::parse(lines.back());
    lines.pop_back();
    EXPECT_EQ(lines, expected);
    EXPECT_EQ(last.at("done").at("document"), answer.fields.at("X-Unroll-Document"));
    EXPECT_EQ(last["done"]["bytes"], text.size());
    EXPECT_EQ(last["done"]["outputs"], expected.size());
  }
}

TEST_F(Http, AnEmptyBodyIsAnEmptyDocument) {
  for (const auto& request : {with_length("/v1/score", ""), with_chunks("/v1/score", "", 1)}) {
    const auto answer = ask(request);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(json::parse(lines_of(answer.body).back())["done"]["bytes"], 0);
  }
}

TEST_F(Http, ABodyMayComeSlowlyAndItsOutputsComeMeanwhile) {
  start({{"journal", {{"commit_blocks", 1}}}});
  const auto text = some_text(60);
  Peer peer(socket());
  const auto request = with_length("/v1/score?granularity=line", text);
  peer.send(request.substr(0, request.size() - 100));
  while (peer.line().value().find("\"line\"") == std::string::npos) {
  }
  peer.send(request.substr(request.size() - 100));
  peer.close_sending();
  EXPECT_THAT(peer.rest(), HasSubstr("{\"done\":"));
}

TEST_F(Http, PathsAndMethods) {
  const std::string end = " HTTP/1.1\r\nHost: u\r\n\r\n";
  EXPECT_EQ(ask("GET /healthz" + end).body, "ok\n");
  EXPECT_EQ(ask("GET /readyz" + end).body, "ok\n");
  const auto id = ask(with_length("/v1/score", "x\n")).fields.at("X-Unroll-Document");
  EXPECT_EQ(json::parse(ask("GET /v1/documents" + end).body)["documents"][0]["document"], id);
  for (const char* path : {"/", "/v1", "/v1/", "/v2/score", "/v1/score/x", "*"}) {
    expect_refused(std::string("PUT ") + path + " HTTP/1.1\r\nHost: u\r\nContent-Length: 0\r\n\r\n", 404,
                   "method_not_found", "/v1/PLUGIN");
  }
  for (const char* path : {"/healthz", "/readyz", "/metrics", "/v1/documents"}) {
    const auto answer =
        ask(std::string("POST ") + path + " HTTP/1.1\r\nHost: u\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(answer.status, 405);
    EXPECT_EQ(answer.fields.at("Allow"), "GET");
  }
  EXPECT_EQ(ask("DELETE /v1/score" + end).fields.at("Allow"), "PUT, POST");
}

TEST_F(Http, WhatIsWrongWithARequestIsSaid) {
  start({{"limits", {{"document_bytes", 1000}}}});
  expect_refused(with_length("/v1/sc0re", "x"), 404, "plugin_unknown", "sc0re");
  expect_refused(with_length("/v1/score?granularity=word", "x"), 400, "invalid_params", "granularity");
  expect_refused(with_length("/v1/score?top=3&top=3", "x"), 400, "invalid_params", "twice");
  expect_refused(with_length("/v1/score?top=%", "x"), 400, "invalid_params", "%25");
  expect_refused(with_length("/v1/score?top=%ff", "x"), 400, "invalid_params", "UTF-8");
  expect_refused(with_length("/v1/score?top", "x"), 400, "invalid_params", "top");
  expect_refused("PUT /v1/score HTTP/1.1\r\nHost: u\r\n\r\n", 400, "invalid_request", "Content-Length");
  expect_refused("GET /healthz HTTP/1.1\r\nLong: " + std::string(17 * 1024, 'x') + "\r\n\r\n", 431, "limit",
                 "16384");
  expect_refused("HELLO THERE\r\n\r\n", 400, "invalid_request", "HTTP/1.1");
  expect_refused(with_length("/v1/score", std::string(1001, 'x')), 413, "limit", "limits.document_bytes");
  expect_refused(with_chunks("/v1/score", std::string(1001, 'x'), 100), 413, "limit",
                 "limits.document_bytes");
  const std::string chunked = "PUT /v1/score HTTP/1.1\r\nHost: u\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_refused(chunked + "3\r\nabcd\r\n0\r\n\r\n", 400, "invalid_request", "body");
  expect_refused(chunked + "xyz\r\n", 400, "invalid_request", "body");
  // The body ends before its length.
  Peer peer(socket());
  peer.send("PUT /v1/score HTTP/1.1\r\nHost: u\r\nContent-Length: 10\r\n\r\nabc");
  peer.close_sending();
  const auto answer = parse_answer(peer.rest());
  EXPECT_EQ(answer.status, 499);
  EXPECT_EQ(json::parse(answer.body)["error"]["data"]["name"], "peer_gone");
  EXPECT_EQ(ask(with_length("/v1/score", "good\n")).status, 200);
}

/// Input that could be understood as two requests, or as one with another end, is refused.
/// HTTP sets no limit for these: without one they would fill the daemon's memory.
TEST_F(Http, ChunkExtensionsAndTrailersWithoutEndAreRefused) {
  const std::string head = "POST /v1/score HTTP/1.1\r\nHost: unroll\r\nTransfer-Encoding: chunked\r\n\r\n2";
  const std::string endless(1 << 20, 'a');
  for (const auto& body : {";" + endless, "\r\nab\r\n0\r\nX: " + endless, "\r\nab\r\n0\r\n" + [] {
                             std::string fields;
                             for (int i = 0; i < 20'000; ++i) fields += "X-" + std::to_string(i) + ": 1\r\n";
                             return fields;
                           }()}) {
    expect_refused(head + body, 413, "limit", "longer than 16384 bytes");
  }
}

TEST_F(Http, ARequestHiddenInAnotherIsNotAnswered) {
  const std::string put = "PUT /v1/score HTTP/1.1\r\nHost: u\r\n";
  const std::string hidden = "GET /v1/documents HTTP/1.1\r\nHost: u\r\n\r\n";
  const std::map<std::string, int> forms = {
      {put + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
      {put + "Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd", 400},
      {put + "Content-Length: +4\r\n\r\nabcd", 400},
      {put + "Content-Length: -1\r\n\r\n", 400},
      {put + "Transfer-Encoding : chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: xchunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: chunked, identity\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 400},
      {put + "Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 415},
      {put + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", 413},
      {"PUT /v1/score HTTP/1.1\nHost: u\nContent-Length: 4\n\nabcd", 400},
      {"GET /healthz HTTP/1.1\r\nHost: u\r\nContent-Length: 43\r\n\r\n", 200},
      {put + "Connection: close\r\nContent-Length: 4\r\n\r\nabcd", 200},
      {"PUT /v1/score HTTP/1.0\r\nHost: u\r\nContent-Length: 4\r\n\r\nabcd", 200},
  };
  for (const auto& [request, status] : forms) {
    Peer peer(socket());
    peer.send(request + hidden);
    peer.close_sending();
    const std::string answer = peer.rest();
    EXPECT_THAT(answer,
                StartsWith(request.find("HTTP/1.0") == std::string::npos ? "HTTP/1.1 " : "HTTP/1.0 "));
    EXPECT_EQ(answer.substr(9, 3), std::to_string(status)) << request;
    EXPECT_EQ(answer.find("\nHTTP/1.1 "), std::string::npos) << request << answer;
    EXPECT_THAT(answer, Not(HasSubstr("\"documents\":"))) << request;
  }
}

TEST_F(Http, AConnectionTakesRequestsOneAfterTheOther) {
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: u\r\n\r\n";
  const std::string text = some_text(20);
  const auto expected = data_of({{"granularity", "line"}}, text);
  Peer peer(socket());
  // All at once, and one that waits for its answer.
  peer.send(get + with_length("/v1/score?granularity=line", text) +
            with_chunks("/v1/score?granularity=line", text, 100) + get);
  std::vector<std::string> healthy, outputs;
  int done = 0;
  while (healthy.size() < 2) {
    const std::string line = peer.line().value();
    if (line == "ok") healthy.push_back(line);
    if (line.starts_with("{\"type\"")) outputs.push_back(line);
    if (line.starts_with("{\"done\"")) ++done;
    EXPECT_THAT(line, Not(HasSubstr("Connection: close")));
  }
  EXPECT_EQ(done, 2);
  auto twice = expected;
  twice.insert(twice.end(), expected.begin(), expected.end());
  EXPECT_EQ(outputs, twice);
  peer.send("GET /readyz HTTP/1.1\r\nHost: u\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(peer.rest(),
              testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Connection: close"), HasSubstr("ok\n")));
}

TEST_F(Http, WhatIsNotTheDocumentItselfIsNotScored) {
  const std::string gzip = "\x1f\x8b\x08 something";
  for (const char* encoding : {"gzip", "zstd", "br", "deflate", "gzip, gzip"}) {
    const auto request =
        with_length("/v1/score", gzip, "1.1", "Content-Encoding: " + std::string(encoding) + "\r\n");
    expect_refused(request, 415, "invalid_request", "Content-Encoding");
    EXPECT_EQ(ask(request).fields.at("Accept-Encoding"), "identity");
  }
  for (const char* type : {"multipart/form-data; boundary=x", "Multipart/Mixed"}) {
    expect_refused(with_length("/v1/score", "x", "1.1", "Content-Type: " + std::string(type) + "\r\n"), 415,
                   "invalid_request", "multipart");
  }
  for (const char* field : {"Content-Encoding: identity", "Content-Type: application/x-www-form-urlencoded",
                            "Content-Type: text/plain"}) {
    EXPECT_EQ(ask(with_length("/v1/score", "x\n", "1.1", std::string(field) + "\r\n")).status, 200);
  }
}

TEST_F(Http, AnOptionThatIsTextStaysText) {
  const std::string log = "session-42 begins\nsession-42 ends\nsession-7 begins\n";
  const auto answer = ask(with_length("/v1/anomaly?session=42&top=1", log));
  EXPECT_EQ(answer.status, 200) << answer.body;
  expect_refused(with_length("/v1/anomaly?session=42&top=x", log), 400, "invalid_params", "top");
}

TEST_F(Http, TooManyDocumentsIsNotTooLarge) {
  start({{"limits", {{"documents", 1}}}});
  Peer holds(socket());
  holds.send("PUT /v1/score HTTP/1.1\r\nHost: u\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_THAT(holds.line().value(), StartsWith("HTTP/1.1 200")) << "before the end of its body";
  auto refused = ask(with_length("/v1/score", "x\n"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.fields.contains("Retry-After"));
  start({{"limits", {{"documents_per_user", 1}}}});
  Peer holds_again(socket());
  holds_again.send("PUT /v1/score HTTP/1.1\r\nHost: u\r\nContent-Length: 10\r\n\r\nabc");
  holds_again.line();
  refused = ask(with_length("/v1/score", "x\n"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_TRUE(refused.fields.contains("Retry-After"));
}

TEST_F(Http, AnAnswerBeginsAndSaysSomethingWhileThereIsNothingToSay) {
  Peer peer(socket());
  peer.send("PUT /v1/score?granularity=document HTTP/1.1\r\nHost: u\r\nContent-Length: 100000\r\n\r\nabc");
  std::string head;
  for (std::string line; (line = peer.line().value()) != "\r";) head += line + "\n";
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(head, HasSubstr("X-Unroll-Document: "));
  for (int seen = 0; seen < 3;) {
    const std::string line = peer.line().value();
    if (!line.starts_with("{")) continue;  // the size of a chunk, and its end
    const auto progress = json::parse(line).at("progress");
    EXPECT_EQ(progress["total_bytes"], 100'000);
    EXPECT_TRUE(progress.contains("tokens"));
    ++seen;
  }
}

TEST_F(Http, WhatIsReadForAClientThatWentAwayIsCancelled) {
  const auto text = some_text(20'000);  // takes longer than a moment to read
  for (const std::size_t sent : {text.size(), std::size_t{1000}}) {
    {
      Peer peer(socket());
      peer.send(with_length("/v1/score?granularity=document", text).substr(0, sent + 80));
      while (Peer(socket()).call("server.stats", json::object())["result"]["open_documents"] == 0) {
      }
    }
    Peer peer(socket());
    json stats;
    do {
      stats = peer.call("server.stats", json::object())["result"];
    } while (stats["open_documents"] != 0);
    const auto newest = peer.call("document.list", json::object())["result"]["documents"][0];
    EXPECT_EQ(newest["phase"], "failed") << newest;
    EXPECT_EQ(newest["error"]["data"]["name"], "peer_gone") << newest;
    EXPECT_LT(newest["bytes"].get<std::size_t>(), text.size());
  }
}

TEST_F(Http, DocumentsAreListedUpToALimit) {
  for (int i = 0; i < 3; ++i) read_text("x\n");
  const auto listed = [](const std::string& query) {
    return json::parse(ask("GET /v1/documents" + query + " HTTP/1.1\r\nHost: u\r\n\r\n").body)["documents"]
        .size();
  };
  EXPECT_EQ(listed("?limit=2"), 2u);
  EXPECT_GE(listed(""), 3u);
  expect_refused("GET /v1/documents?limit=0 HTTP/1.1\r\nHost: u\r\n\r\n", 400, "invalid_params", "limit");
  expect_refused("GET /v1/documents?colour=1 HTTP/1.1\r\nHost: u\r\n\r\n", 400, "invalid_params", "colour");
}

TEST_F(Http, ADocumentThatFailsLateSaysSoInItsLastLine) {
  start({{"journal", {{"commit_blocks", 1}}}});
  const auto text = some_text(60);
  Peer peer(socket());
  peer.send("PUT /v1/score?granularity=line HTTP/1.1\r\nHost: u\r\nContent-Length: 100000\r\n\r\n" + text);
  std::string head;
  while (head.find("\"line\"") == std::string::npos) head += peer.line().value() + "\n";
  const auto begin = head.find("X-Unroll-Document: ") + 19;
  const auto id = head.substr(begin, 32);
  Peer(socket()).call("document.cancel", {{"document", id}});
  const auto answer = parse_answer(head + peer.rest());
  EXPECT_EQ(answer.status, 200);
  const auto failed = json::parse(lines_of(answer.body).back()).at("failed");
  EXPECT_EQ(failed["document"], id);
  EXPECT_EQ(failed["data"]["name"], "cancelled");
}

TEST_F(Http, MetricsCountWhatWasDone) {
  const auto text = some_text(20);
  const auto outputs = read_text(text).outputs.size();
  expect_refused("PUT /v1/score HTTP/1.1\r\nHost: u\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400,
                 "invalid_request", "body");
  const auto answer = ask("GET /metrics HTTP/1.1\r\nHost: u\r\n\r\n");
  EXPECT_THAT(answer.fields.at("Content-Type"), StartsWith("text/plain; version=0.0.4"));
  std::map<std::string, double> values;
  std::string helped, typed;
  for (const auto& line : lines_of(answer.body)) {
    std::istringstream words(line);
    std::string sign, kind, name;
    if (line.starts_with("# ")) {
      words >> sign >> kind >> name;
      (kind == "HELP" ? helped : typed) = name;
      EXPECT_TRUE(kind == "HELP" || kind == "TYPE") << line;
      continue;
    }
    double value = -1;
    words >> name >> value;
    EXPECT_TRUE(words.eof() && !words.fail()) << line;
    EXPECT_EQ(helped, typed);
    EXPECT_TRUE(name == helped || name.starts_with(helped + '{') || name.starts_with(helped + "_bucket{") ||
                name == helped + "_sum" || name == helped + "_count")
        << line;
    EXPECT_TRUE(values.emplace(name, value).second) << name;
  }
  EXPECT_EQ(values.at("unroll_documents_finished_total{outcome=\"done\"}"), 1);
  EXPECT_EQ(values.at("unroll_documents_finished_total{outcome=\"failed\"}"), 1);
  EXPECT_EQ(values.at("unroll_documents_failed_total{reason=\"invalid_request\"}"), 1);
  EXPECT_EQ(values.at("unroll_documents_failed_total{reason=\"plugin_failed\"}"), 0);
  EXPECT_GT(values.at("unroll_journal_largest_user_bytes"), 0);
  EXPECT_EQ(values.at("unroll_documents{state=\"reading\"}"), 0);
  const double blocks = values.at("unroll_blocks_total");
  EXPECT_EQ(values.at("unroll_block_duration_seconds_count"), blocks);
  EXPECT_EQ(values.at("unroll_block_duration_seconds_bucket{le=\"+Inf\"}"), blocks);
  EXPECT_LE(values.at("unroll_block_duration_seconds_bucket{le=\"0.001\"}"),
            values.at("unroll_block_duration_seconds_bucket{le=\"10\"}"));
  EXPECT_EQ(values.at("unroll_queue_wait_seconds_count"), blocks);
  EXPECT_GT(values.at("unroll_journal_commit_duration_seconds_sum"), 0);
  EXPECT_GT(values.at("process_open_fds"), 3);
  EXPECT_EQ(values.at("unroll_document_bytes_total"), text.size());
  EXPECT_EQ(values.at("unroll_outputs_total"), outputs);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1 << 20);
}

}  // namespace
}  // namespace unroll::test
