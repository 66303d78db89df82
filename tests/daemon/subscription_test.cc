// A document's outputs for a slow reader: the queue is bounded, and nothing is lost.
#include "daemon/subscription.h"

#include <future>
#include <optional>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <sqlite3.h>

#include "tests/engine/testing.h"

namespace unroll {
namespace {

class SlowSink : public Subscription::Sink {
 public:
  bool has_room() const override { return room; }
  void on_output(const DocumentId&, const Output& output) override { sequences.push_back(output.sequence); }
  void on_progress(const DocumentStatus&) override {}
  void on_finished(const DocumentStatus& status) override { end = status; }

  bool room = false;
  std::optional<DocumentStatus> end;
  std::vector<std::uint64_t> sequences;
};

/// An engine and one client's sink.
class SubscriptionCase : public testing::Test {
 protected:
  std::shared_ptr<Subscription> subscription() {
    return std::make_shared<Subscription>(
        Subscription::Surroundings{io_, engine_, events_, std::make_shared<FairTurns>(io_)}, sink_, 1000,
        queued_);
  }
  /// A document that gives one output for each token.
  static DocumentRequest by_token() {
    auto request = a_request();
    request.plugins = {{"score", {{"granularity", "token"}}}};
    return request;
  }
  DocumentId read(DocumentRequest request, const std::string& text) {
    const auto recorder = std::make_shared<Recorder>();
    request.text = text;
    const auto id = engine_.open(std::move(request), recorder).id;
    recorder->wait();
    return id;
  }
  /// Until the sink hears of the document's end.
  void run() {
    while (!sink_->end) {
      io_.restart();
      io_.poll();
    }
  }

  const TemporaryFolder folder_;
  boost::asio::io_context io_;
  Events events_;
  Engine engine_{{std::make_shared<HashModel>(), vocabulary(), registry()}, {.journal = folder_ / "journal"}};
  const std::shared_ptr<SlowSink> sink_ = std::make_shared<SlowSink>();
  const Subscription::QueuedBytes queued_ = std::make_shared<std::atomic<std::size_t>>(0);
};

TEST_F(SubscriptionCase, KeepsABoundedPieceForOneWhoReadsNothingAndPullsTheRestLater) {
  constexpr std::size_t kMost = 1 << 20;  // per connection
  const auto subscription = this->subscription();
  const auto opened = engine_.open(by_token(), subscription);
  subscription->start(opened.id, opened.next_sequence);
  const auto status = [&] { return engine_.status(opened.id); };

  std::string line = "a line of the document, and another word or two\n", text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + line;
  for (std::size_t at = 0; at < text.size(); at += 100'000) {
    std::promise<void> room;
    engine_.append(opened.id, text.substr(at, 100'000), [&] { room.set_value(); });
    room.get_future().wait();
    // Nothing is taken: the subscription is scheduled, and the sink has no room.
    io_.restart();
    io_.poll();
    ASSERT_LE(*queued_, kMost);
  }
  engine_.end(opened.id);
  while (status().phase == DocumentPhase::kOpen) std::this_thread::yield();
  const auto outputs = status().outputs;
  std::size_t bytes = 0;
  for (const auto& output : engine_.outputs(opened.id, 0, outputs)) bytes += output.json.size();
  ASSERT_GT(bytes, 2 * kMost) << "too little to be held back";
  EXPECT_LE(*queued_, kMost);
  EXPECT_TRUE(sink_->sequences.empty());

  sink_->room = true;
  subscription->pump();
  run();
  ASSERT_EQ(sink_->sequences.size(), outputs);
  for (std::uint64_t i = 0; i < outputs; ++i) ASSERT_EQ(sink_->sequences[i], i);
  EXPECT_EQ(*queued_, 0u);
}

/// Not from the engine's thread, which works for all users.
TEST_F(SubscriptionCase, WhatIsCommittedAlreadyComesFromTheJournal) {
  const auto id = read(by_token(), some_text(30'000, 1));
  const auto outputs = engine_.status(id).outputs;
  ASSERT_GT(outputs, 300u);
  const auto subscription = this->subscription();
  sink_->room = true;
  engine_.attach(id, outputs, subscription);
  subscription->start(id, 7, outputs);
  run();
  EXPECT_EQ(sink_->end->phase, DocumentPhase::kDone);
  ASSERT_EQ(sink_->sequences.size(), outputs - 7);
  for (std::uint64_t i = 7; i < outputs; ++i) ASSERT_EQ(sink_->sequences[i - 7], i);
}

TEST_F(SubscriptionCase, WhatTheJournalHasForgottenIsPassedOver) {
  auto request = by_token();
  request.keep_outputs = 10;
  const auto id = read(request, some_text(3000, 1));
  const auto outputs = engine_.status(id).outputs;
  const auto subscription = this->subscription();
  sink_->room = true;
  engine_.attach(id, outputs, subscription);
  subscription->start(id, 0, outputs + 5);  // as if five more were announced and forgotten
  run();
  ASSERT_EQ(sink_->sequences.size(), 10u);
  EXPECT_EQ(sink_->sequences.front(), outputs - 10);
}

TEST_F(SubscriptionCase, WhatCannotBeReadFromTheJournalIsNot) {
  const auto id = read(by_token(), some_text(30'000, 1));
  const auto outputs = engine_.status(id).outputs;
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ / "journal").c_str(), &database), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(database, "UPDATE outputs SET json=x'00' WHERE sequence=200", nullptr, nullptr, nullptr),
      SQLITE_OK);
  sqlite3_close(database);
  const auto subscription = this->subscription();
  sink_->room = true;
  engine_.attach(id, outputs, subscription);
  subscription->start(id, 0, outputs);
  run();
  EXPECT_EQ(sink_->end->error_code, ErrorCode::kJournal);
  EXPECT_THAT(sink_->end->error, testing::HasSubstr("an output of document " + id));
  EXPECT_LE(sink_->sequences.size(), 200u);
}

}  // namespace
}  // namespace unroll
