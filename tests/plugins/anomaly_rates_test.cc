// What the built-in plugin anomaly says of how often lines come.
#include <random>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/builtin/rate_watch.h"
#include "tests/plugins/fixture.h"

namespace unroll::testing {
namespace {

using builtin::RateEvent;
using builtin::RateWatch;

/// A log of three hours: a heartbeat every 10 s, requests about every 2 s, a report every 5 minutes.
class RatesOfALog {
 public:
  /// Adds a second. `requests`: how many, if not as usual.
  void second(bool heartbeat = true, int requests = -1) {
    if (heartbeat && now_ % 10 == 0) look(1, "heartbeat");
    if (requests < 0) requests = std::poisson_distribution<int>(0.5)(random_);
    for (int i = 0; i < requests; ++i) look(2, "request");
    if (now_ % 300 == 0) look(3, "report");
    ++now_;
  }
  void seconds(int count, bool heartbeat = true, int requests = -1) {
    for (int i = 0; i < count; ++i) second(heartbeat, requests);
  }
  void skip(int seconds) { now_ += seconds; }
  std::vector<RateEvent> take() { return std::exchange(events_, {}); }

 private:
  void look(std::uint64_t shape, const char* text) {
    for (auto& event : watch_.look(shape, text, now_)) events_.push_back(std::move(event));
  }
  RateWatch watch_;
  std::mt19937 random_{7};
  int now_ = 1'000'000;
  std::vector<RateEvent> events_;
};

TEST(Rates, NothingIsSaidOfWhatIsAsEver) {
  RatesOfALog log;
  log.seconds(3 * 86400);
  EXPECT_EQ(log.take().size(), 0u);
}

TEST(Rates, AKindThatStopsIsToldOnce) {
  RatesOfALog log;
  log.seconds(3600);
  log.seconds(600, false);
  const auto events = log.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, RateEvent::Kind::kStopped);
  EXPECT_EQ(events[0].text, "heartbeat");
  EXPECT_NEAR(events[0].seconds, 100, 15);
  EXPECT_NEAR(events[0].usual, 10, 0.1);
  EXPECT_GE(events[0].score, 5);
  log.seconds(3600);
  log.seconds(500, false);
  EXPECT_EQ(log.take().size(), 0u) << "a pause of this length is known";
  log.seconds(3600);
  log.seconds(2000, false);
  EXPECT_EQ(log.take().size(), 1u);
}

TEST(Rates, AKindThatComesFarMoreOftenIsToldOnce) {
  RatesOfALog log;
  log.seconds(3600);
  log.seconds(180, true, 10);
  const auto events = log.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, RateEvent::Kind::kMore);
  EXPECT_EQ(events[0].text, "request");
  EXPECT_GT(events[0].count, 3 * events[0].usual);
  log.seconds(3600);
  EXPECT_EQ(log.take().size(), 0u);
}

TEST(Rates, ASilentLogIsOneEventAndNotOneForEachKind) {
  RatesOfALog log;
  log.seconds(7200);
  log.skip(900);
  log.seconds(3600);
  const auto events = log.take();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, RateEvent::Kind::kSilent);
  EXPECT_NEAR(events[0].seconds, 900, 10);
}

TEST(Rates, ClocksThatGoBackOrBeginAgainSayNothing) {
  RateWatch watch;
  std::size_t events = 0;
  for (int day = 0; day < 3; ++day) {
    for (int second = 0; second < 86400; second += 5) {
      events += watch.look(1, "a", second).size();      // a time of day
      events += watch.look(2, "b", second - 3).size();  // out of order
      events += watch.look(3, "no time", std::nullopt).size();
    }
  }
  EXPECT_EQ(events, 0u);
}

TEST(Rates, ThePluginReportsThemUnlessToldNotTo) {
  std::vector<MadeToken> tokens;
  for (int second = 0; second < 2000; ++second) {
    const std::string time = std::to_string(1'772'438'000 + second);
    if (second % 2 == 0 && second < 1500) tokens.push_back({time + " all is well\n", -1});
    tokens.push_back({time + " request served\n", -1});
  }
  const auto document = made_document(tokens, 64);
  std::vector<json> rates;
  for (auto& output : read("anomaly", R"({"top":2,"alert_rate":100})", document)) {
    if (output.contains("rate")) rates.push_back(output);
  }
  ASSERT_EQ(rates.size(), 1u);
  EXPECT_EQ(rates[0]["rate"], "stopped");
  EXPECT_EQ(rates[0]["text"], std::to_string(1'772'438'000) + " all is well");
  EXPECT_EQ(rates[0]["alert"], true);
  EXPECT_GT(rates[0]["line"], 2250);
  for (const auto& output : read("anomaly", R"({"rates":false})", document))
    EXPECT_FALSE(output.contains("rate"));
  for (const auto& output : read("anomaly", R"({"time_format":"%H:%M:%S"})", document))
    EXPECT_FALSE(output.contains("rate"));
}

}  // namespace
}  // namespace unroll::testing
