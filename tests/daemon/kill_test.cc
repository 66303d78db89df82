// Clients that stream while the daemon is killed repeatedly at any time, and that keep what the manual says:
// a document's id and the next sequence number. UNROLL_TEST_KILLS sets the number of kills, UNROLL_TEST_SEED
// their times.
#include <algorithm>
#include <cstdlib>
#include <future>
#include <optional>
#include <random>

#include "tests/daemon/daemon_case.h"

namespace unroll::test {
namespace {

unsigned setting(const char* name, unsigned usual) {
  const char* value = std::getenv(name);
  return value == nullptr ? usual : static_cast<unsigned>(std::stoul(value));
}

/// One document that is streamed over as many connections as necessary.
class Streamer {
 public:
  Streamer(std::string text, std::string socket) : text_(std::move(text)), socket_(std::move(socket)) {}

  /// Opens or resumes the document. Returns false if the daemon ended meanwhile, as do the functions below.
  bool connect() {
    try {
      peer_.emplace(socket_);
      json request{{"plugins", json::array({{{"name", "score"}, {"options", {{"granularity", "line"}}}}})},
                   {"stream", true}};
      if (!id_.is_null()) {
        const auto status = peer_->call("document.status", {{"document", id_}}).at("result");
        if (status["phase"] == "done") return attach();
        request["resume"] = id_;
      }
      const auto answer = peer_->call("document.open", request);
      if (!answer.contains("result")) throw std::logic_error(answer.dump());
      const auto& opened = answer["result"];
      id_ = opened["document"];
      sent_ = opened["resume_bytes"];
      ended_ = false;
      if (opened["next_sequence"] < outputs_.size()) throw std::logic_error("an output would come twice");
      return opened["next_sequence"] == outputs_.size() || attach();
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  /// Sends the next piece, and receives the outputs so far.
  bool step(std::mt19937& random) {
    try {
      if (sent_ < text_.size()) {
        auto end = std::min(text_.size(), sent_ + 1 + random() % 3000);
        while (end < text_.size() && (text_[end] & '\xc0') == '\x80') ++end;
        peer_->call("document.append", {{"document", id_}, {"text", text_.substr(sent_, end - sent_)}});
        sent_ = end;
      } else if (!ended_) {
        peer_->call("document.end", {{"document", id_}});
        ended_ = true;
      } else {
        take(peer_->notification_text());
      }
      while (peer_->has_notification()) take(peer_->notification_text());
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  bool done() const { return done_; }
  const std::vector<std::string>& outputs() const { return outputs_; }
  const json& id() const { return id_; }

 private:
  /// Receives what was committed before the kill and never reached this client.
  bool attach() {
    const auto answer = peer_->call("document.attach", {{"document", id_}, {"from", outputs_.size()}});
    if (!answer.contains("result")) throw std::logic_error(answer.dump());
    if (answer["result"]["phase"] == "done") sent_ = text_.size(), ended_ = true;
    return true;
  }
  void take(const std::string& text) {
    const auto message = json::parse(text);
    const auto& params = message["params"];
    if (message["method"] == "document.output") {
      if (params["sequence"] != outputs_.size()) throw std::logic_error("out of sequence: " + text);
      outputs_.push_back(Peer::output_text(text));
    } else if (message["method"] == "document.done") {
      done_ = true;
    } else if (message["method"] == "document.failed" &&
               params["error"]["data"]["name"] != "document_state") {
      throw std::logic_error(text);
    }
  }

  const std::string text_, socket_;
  std::optional<Peer> peer_;
  json id_;
  std::size_t sent_ = 0;
  bool ended_ = false, done_ = false;
  std::vector<std::string> outputs_;
};

using WriteModel = void (*)(const std::filesystem::path& folder, std::uint64_t seed);

/// With either kind of model.
class Kill : public DaemonCase, public testing::WithParamInterface<WriteModel> {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(*folder_ / "model");
    GetParam()(*folder_ / "model", 7);
    start();
  }
};

TEST_P(Kill, AtAnyMomentStreamsLoseNothingAndGetNothingTwice) {
  const unsigned kills = setting("UNROLL_TEST_KILLS", 8);
  std::mt19937 random(setting("UNROLL_TEST_SEED", 1));
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> expected;
  for (const std::size_t lines : {400, 600, 800}) {
    texts.push_back(some_text(lines));
    expected.push_back(read_text(texts.back()).outputs);
  }
  const json settings{{"journal", {{"commit_blocks", 2}}}, {"limits", {{"input_buffer_bytes", 8192}}}};
  for (unsigned killed = 0; killed < kills;) {
    std::vector<Streamer> streamers;
    for (const auto& text : texts) streamers.emplace_back(text, socket());
    while (!std::ranges::all_of(streamers, &Streamer::done)) {
      start(settings);
      std::future<void> killer;  // joins
      if (killed < kills) {
        ++killed;
        killer = std::async(std::launch::async, [this, moment = static_cast<int>(random() % 400)] {
          ::poll(nullptr, 0, moment);
          process().stop(SIGKILL);
        });
      }
      bool alive = true;
      for (auto& streamer : streamers) alive = alive && (streamer.done() || streamer.connect());
      while (alive && !std::ranges::all_of(streamers, &Streamer::done)) {
        for (auto& streamer : streamers) alive = alive && (streamer.done() || streamer.step(random));
      }
    }
    start();
    for (std::size_t i = 0; i < streamers.size(); ++i) {
      ASSERT_EQ(streamers[i].outputs(), expected[i]) << "as they came, document " << i;
      Peer peer(socket());
      peer.call("document.attach", {{"document", streamers[i].id()}});
      ASSERT_EQ(peer.read_document(streamers[i].id()).outputs, expected[i]) << "from the journal, " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Kill, testing::Values(&write_tiny_model, &write_tiny_pretrained),
                         [](const auto& info) { return info.index == 0 ? "Own" : "Pretrained"; });

/// Some documents have their states in memory, the others in the journal.
class Eviction : public DaemonCase {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(*folder_ / "model");
    write_tiny_pretrained(*folder_ / "model");
    start();
  }
};

TEST_F(Eviction, EvictedDocumentsGoOnAsIfTheyHadStayed) {
  constexpr std::size_t kDocuments = 40;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kDocuments; ++i) texts.push_back(some_text(60 + i));
  std::vector<std::vector<std::string>> expected;
  for (const auto& text : texts) expected.push_back(read_text(text).outputs);
  start({{"limits", {{"memory_bytes", 1 << 20}, {"memory_bytes_per_user", 1 << 20}}}});
  Peer peer(socket());
  std::vector<json> ids;
  for (std::size_t i = 0; i < kDocuments; ++i)
    ids.push_back(
        peer.call("document.open", {{"plugins", scored()}, {"stream", true}})["result"]["document"]);
  for (const auto half : {0, 1}) {
    for (std::size_t i = 0; i < kDocuments; ++i) {
      const auto middle = texts[i].find('\n', texts[i].size() / 2) + 1;
      peer.call(
          "document.append",
          {{"document", ids[i]}, {"text", half == 0 ? texts[i].substr(0, middle) : texts[i].substr(middle)}});
      if (half == 1) peer.call("document.end", {{"document", ids[i]}});
    }
  }
  auto read = peer.read_documents(kDocuments);
  for (std::size_t i = 0; i < kDocuments; ++i) EXPECT_EQ(read[ids[i]].outputs, expected[i]) << i;
  EXPECT_GT(peer.call("server.stats", json::object())["result"]["put_aways"], 0);
}

}  // namespace
}  // namespace unroll::test
