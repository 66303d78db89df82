// /v1/documents/ID: documents of earlier requests over HTTP.
#include "tests/daemon/daemon_case.h"
#include "tests/daemon/http_answer.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class HttpKept : public DaemonCase {
 protected:
  static HttpAnswer ask(const std::string& line) {
    return parse_answer(http(socket(), line + " HTTP/1.1\r\nHost: u\r\nContent-Length: 0\r\n\r\n"));
  }
  static json body(const std::string& line) {
    const auto answer = ask(line);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  }
  /// The lines of /events but for progress.
  static std::vector<json> events(const std::string& id, const std::string& query = "") {
    std::vector<json> found;
    for (const auto& line : lines_of(ask("GET /v1/documents/" + id + "/events" + query).body)) {
      found.push_back(json::parse(line));
      if (found.back().contains("progress")) found.pop_back();
    }
    return found;
  }
  /// Begins a document whose body is not complete.
  static std::string begin(Peer& peer, const std::string& text, std::size_t length) {
    peer.send("PUT /v1/score?granularity=line HTTP/1.1\r\nHost: u\r\nContent-Length: " +
              std::to_string(length) + "\r\n\r\n" + text);
    constexpr std::string_view kField = "X-Unroll-Document: ";
    for (;;) {
      if (const auto line = peer.line().value(); line.starts_with(kField))
        return line.substr(kField.size(), 32);
    }
  }
};

TEST_F(HttpKept, StatusAndEventsAreThoseOfJsonRpc) {
  const auto text = some_text(100);
  Peer peer(socket());
  const std::string id = peer.call("document.open", text_request(text))["result"]["document"];
  const auto expected = peer.read_document(id);
  EXPECT_EQ(body("GET /v1/documents/" + id), peer.call("document.status", {{"document", id}})["result"]);
  const auto all = events(id);
  ASSERT_EQ(all.size(), expected.outputs.size() + 1);
  for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
    const auto& output = all[i]["output"];
    EXPECT_EQ(
        output["sequence"].dump() + " " + output["plugin"].get<std::string>() + " " + output["data"].dump(),
        json::parse(expected.outputs[i].substr(expected.outputs[i].find('{')))
            .dump()
            .insert(0, std::to_string(i) + " score "));
  }
  EXPECT_EQ(all.back()["done"]["document"], id);
  EXPECT_EQ(all.back()["done"]["bytes"], text.size());
  const auto rest = events(id, "?from=98");
  EXPECT_EQ(rest.front(), all[98]);
  EXPECT_EQ(rest.size(), all.size() - 98);
}

TEST_F(HttpKept, AnotherRequestMayListenWhileTheFirstSendsTheRest) {
  start({{"journal", {{"commit_blocks", 1}}}});
  const auto text = some_text(200);
  Peer sender(socket());
  const auto id = begin(sender, text.substr(0, 3000), text.size());
  Peer listener(socket());
  listener.send("GET /v1/documents/" + id + "/events HTTP/1.1\r\nHost: u\r\n\r\n");
  while (listener.line().value().find("\"output\"") == std::string::npos) {
  }
  std::string line;
  while (!(line = sender.line().value()).starts_with("{\"failed\"")) {
  }
  EXPECT_THAT(line, HasSubstr("document_state"));
  sender.send(text.substr(3000));
  while (!(line = listener.line().value()).starts_with("{\"done\"")) {
  }
  EXPECT_EQ(json::parse(line)["done"]["bytes"], text.size());
  sender.send("GET /healthz HTTP/1.1\r\nHost: u\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(sender.rest(), HasSubstr("HTTP/1.1 200")) << "it takes the next request";
}

/// Otherwise the document would stay open for ever.
TEST_F(HttpKept, IfTheOneWhoSendsGoesAwayTheListenerIsTold) {
  Peer listener(socket());
  {
    Peer sender(socket());
    const auto id = begin(sender, "abc\n", 100'000);
    listener.send("GET /v1/documents/" + id + "/events HTTP/1.1\r\nHost: u\r\n\r\n");
    while (!sender.line().value().starts_with("{\"failed\"")) {
    }
  }
  std::string line;
  while (!(line = listener.line().value()).starts_with("{\"failed\"")) {
  }
  EXPECT_THAT(line, HasSubstr("peer_gone"));
}

TEST_F(HttpKept, AListenerThatGoesAwayEndsNothing) {
  Peer peer(socket());
  const std::string id =
      peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  {
    Peer listener(socket());
    listener.send("GET /v1/documents/" + id + "/events HTTP/1.1\r\nHost: u\r\n\r\n");
    EXPECT_THAT(listener.line().value(), StartsWith("HTTP/1.1 200"));
  }
  peer.call("document.append", {{"document", id}, {"text", "abc\n"}});
  peer.call("document.end", {{"document", id}});
  EXPECT_TRUE(events(id).back().contains("done"));
}

TEST_F(HttpKept, CancelAndDelete) {
  Peer peer(socket());
  const std::string id =
      peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  const std::string path = "/v1/documents/" + id;
  EXPECT_EQ(ask("DELETE " + path).status, 409) << "it is being read";
  EXPECT_EQ(body("POST " + path + "/cancel"), json::object());
  EXPECT_EQ(peer.read_document(id).end["params"]["error"]["data"]["name"], "cancelled");
  EXPECT_EQ(body("GET " + path)["phase"], "failed");
  EXPECT_EQ(events(id).back()["failed"]["data"]["name"], "cancelled");
  EXPECT_EQ(body("POST " + path + "/cancel"), json::object()) << "once more is no error";
  EXPECT_EQ(body("DELETE " + path), json::object());
  EXPECT_EQ(ask("GET " + path).status, 404);
  EXPECT_EQ(ask("GET " + path + "/events").status, 404);
}

TEST_F(HttpKept, ADocumentThatWaitsToBeResumedSaysSo) {
  std::string id;
  {
    Peer peer(socket());
    id = peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"];
  }
  json status;
  do {
    status = body("GET /v1/documents/" + id);
  } while (status["phase"] == "open");
  EXPECT_EQ(status["error"]["data"]["name"], "peer_gone");
  EXPECT_EQ(status["resume_bytes"], 0);
}

TEST_F(HttpKept, WrongRequestsAreNamed) {
  EXPECT_EQ(ask("GET /v1/documents/x").status, 404);
  EXPECT_EQ(ask("GET /v1/documents/x/y").status, 404);
  EXPECT_THAT(ask("GET /v1/documents/x/y").body, HasSubstr("no path"));
  EXPECT_EQ(ask("PUT /v1/documents/x").fields.at("Allow"), "GET, DELETE");
  EXPECT_EQ(ask("GET /v1/documents/x/cancel").fields.at("Allow"), "POST");
  EXPECT_EQ(ask("POST /v1/documents/x/events").fields.at("Allow"), "GET");
  EXPECT_EQ(ask("GET /v1/documents/x/events?from=-1").status, 400);
  EXPECT_EQ(ask("GET /v1/documents/x?from=1").status, 400);
}

}  // namespace
}  // namespace unroll::test
