// A document's outputs for a slow reader: the queue is bounded, and nothing is lost.
#include "daemon/subscription.h"

#include <future>
#include <thread>

#include <boost/asio/io_context.hpp>

#include "tests/engine/testing.h"

namespace unroll {
namespace {

class SlowSink : public Subscription::Sink {
 public:
  bool has_room() const override { return room; }
  void on_output(const DocumentId&, const Output& output) override { sequences.push_back(output.sequence); }
  void on_progress(const DocumentStatus&) override {}
  void on_finished(const DocumentStatus&) override { finished = true; }

  bool room = false, finished = false;
  std::vector<std::uint64_t> sequences;
};

TEST(Subscription, KeepsABoundedPieceForOneWhoReadsNothingAndPullsTheRestLater) {
  constexpr std::size_t kMost = 1 << 20;  // per connection
  TemporaryFolder folder;
  boost::asio::io_context io;
  Events events;
  EngineOptions options;
  options.journal = folder / "journal";
  Engine engine({std::make_shared<HashModel>(), vocabulary(), registry()}, options);
  const auto sink = std::make_shared<SlowSink>();
  const auto queued = std::make_shared<std::atomic<std::size_t>>(0);
  const auto subscription = std::make_shared<Subscription>(
      Subscription::Surroundings{io, engine, events, std::make_shared<FairTurns>(io)}, sink, 1000, queued);
  auto request = a_request();
  request.plugins = {{"score", {{"granularity", "token"}}}};
  const auto opened = engine.open(std::move(request), subscription);
  subscription->start(opened.id, opened.next_sequence);
  const auto recorder = [&] { return engine.status(opened.id); };

  std::string line = "a line of the document, and another word or two\n", text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i) + line;
  for (std::size_t at = 0; at < text.size(); at += 100'000) {
    std::promise<void> room;
    engine.append(opened.id, text.substr(at, 100'000), [&] { room.set_value(); });
    room.get_future().wait();
    // Nothing is taken: the subscription is scheduled, and the sink has no room.
    io.restart();
    io.poll();
    ASSERT_LE(*queued, kMost);
  }
  engine.end(opened.id);
  while (recorder().phase == DocumentPhase::kOpen) std::this_thread::yield();
  const auto outputs = recorder().outputs;
  std::size_t bytes = 0;
  for (const auto& output : engine.outputs(opened.id, 0, outputs)) bytes += output.json.size();
  ASSERT_GT(bytes, 2 * kMost) << "too little to be held back";
  EXPECT_LE(*queued, kMost);
  EXPECT_TRUE(sink->sequences.empty());

  sink->room = true;
  subscription->pump();
  io.restart();
  while (!sink->finished) {
    io.restart();
    io.poll();
  }
  ASSERT_EQ(sink->sequences.size(), outputs);
  for (std::uint64_t i = 0; i < outputs; ++i) ASSERT_EQ(sink->sequences[i], i);
  EXPECT_EQ(*queued, 0u);
}

}  // namespace
}  // namespace unroll
