// The daemon's parts that need no daemon: scheduling of connections, pools, events, options of a query, the
// log's text.
#include <atomic>
#include <future>
#include <sstream>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "daemon/events.h"
#include "daemon/fair_pool.h"
#include "daemon/fair_turns.h"
#include "daemon/http_answer.h"
#include "daemon/http_query.h"
#include "daemon/log.h"
#include "daemon/refusals.h"

namespace unroll::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(FairTurns, OneUsersManyRequestsDelayAnotherByOne) {
  boost::asio::io_context io;
  const auto turns = std::make_shared<FairTurns>(io);
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) turns->ask(1, [&] { order.push_back(1); });
  turns->ask(2, [&] { order.push_back(2); });
  turns->ask(3, [&] {
    order.push_back(3);
    turns->ask(3, [&] { order.push_back(3); });
  });
  io.run();
  ASSERT_EQ(order.size(), 103u);
  order.resize(6);
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 1, 3, 1));
}

TEST(FairPool, AUserHasNoMoreJobsAtWorkThanTheyMayAndOthersNeedNotWait) {
  FairPool pool(2, 1);
  std::promise<void> go;
  const std::shared_future<void> wait = go.get_future().share();
  std::atomic<int> at_work{0}, most{0};
  for (int i = 0; i < 10; ++i) {
    pool.post(1, [&, wait] {
      most = std::max(most.load(), ++at_work);
      wait.wait();
      --at_work;
    });
  }
  // A hundred of another user's are done while the first user's ten wait for each other.
  std::promise<void> done;
  std::atomic<int> left{100};
  for (int i = 0; i < 100; ++i) {
    pool.post(2, [&] {
      if (--left == 0) done.set_value();
    });
  }
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(at_work, 1);
  go.set_value();
  std::promise<void> last;
  pool.post(1, [&] { last.set_value(); });
  ASSERT_EQ(last.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(most, 1);
}

/// However many users' jobs hang, those of others are done, until there are as many users as threads.
TEST(FairPool, JobsThatHangTakeNoThreadFromOtherUsers) {
  constexpr std::uint32_t kUsers = 50;
  FairPool pool(128, 4);
  std::promise<void> go;
  const std::shared_future<void> wait = go.get_future().share();
  std::atomic<std::size_t> hang{0}, most_of_one{0};
  std::vector<std::atomic<std::size_t>> of_user(kUsers + 1);
  const auto all_of = [&](std::uint32_t user) {
    std::promise<void> done;
    std::atomic<int> left{30};
    for (int i = 0; i < 30; ++i) {
      pool.post(user, [&] {
        if (--left == 0) done.set_value();
      });
    }
    return done.get_future().wait_for(std::chrono::seconds(60)) == std::future_status::ready;
  };
  for (std::uint32_t user = 1; user <= kUsers; ++user) {
    for (int i = 0; i < 10; ++i) {
      pool.post(user, [&, user, wait] {
        most_of_one = std::max(most_of_one.load(), ++of_user[user]);
        ++hang;
        wait.wait();
      });
    }
    ASSERT_TRUE(all_of(1000 + user)) << "after " << user << " users";
  }
  EXPECT_GE(hang, kUsers);
  EXPECT_LE(most_of_one, 4u);
  go.set_value();
  pool.join();
}

TEST(FairPool, WhatCannotBeginIsRefusedAfterAWhileAndBeginsOtherwise) {
  FairPool pool(2, 2);
  std::promise<void> go, begun[2];
  const std::shared_future<void> wait = go.get_future().share();
  for (std::uint32_t user : {0, 1}) {
    pool.post(user, [&, user, wait] {
      begun[user].set_value();
      wait.wait();
    });
    begun[user].get_future().wait();
  }
  std::promise<bool> kept;
  std::vector<std::uint32_t> refused;
  for (std::uint32_t user : {0, 2}) {
    pool.post(
        user, [] { FAIL() << "it was refused"; }, [&, user] { refused.push_back(user); });
  }
  pool.refuse_stuck(std::chrono::hours(1));
  EXPECT_THAT(refused, testing::IsEmpty());
  pool.refuse_stuck(std::chrono::milliseconds(0));
  EXPECT_THAT(refused, ElementsAre(0, 2));
  pool.refuse_stuck(std::chrono::milliseconds(0));
  EXPECT_EQ(refused.size(), 2u) << "once each";
  pool.post(3, [&] { kept.set_value(true); });
  pool.refuse_stuck(std::chrono::milliseconds(0));  // that has no way to be refused
  go.set_value();
  EXPECT_TRUE(kept.get_future().get());
}

TEST(FairPool, WhatWaitsIsDroppedAtTheEndAndWhatIsAtWorkIsNot) {
  std::promise<void> begun, go;
  std::atomic<bool> first{false}, second{false};
  auto pool = std::make_unique<FairPool>(1, 1);
  pool->post(1, [&] {
    begun.set_value();
    go.get_future().wait();
    first = true;
  });
  pool->post(1, [&] { second = true; });
  begun.get_future().wait();
  std::thread ends([&] { pool->join(); });
  go.set_value();
  ends.join();
  EXPECT_TRUE(first);
  pool.reset();
  EXPECT_FALSE(second && !first);
}

TEST(LogText, IsOneLineThatMovesNoCursor) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(log_text("a plain path/größe"), "a plain path/größe");
  EXPECT_EQ(log_text("x\n2026-11-29 critical: forged"), "x" + r + "2026-11-29 critical: forged");
  EXPECT_EQ(log_text("\x1b[31mred\x1b]0;title\x07"), r + "[31mred" + r + "]0;title" + r);
  EXPECT_EQ(log_text("\xC2\x9B"
                     "31m \xC2\x85 \xE2\x80\xA8 \xE2\x80\xAE \xE2\x81\xA6 \x7F \xFF"),
            r + "31m " + r + " " + r + " " + r + " " + r + " " + r + " " + r);
  EXPECT_EQ(log_text("\xE2\x82\xAC \xF0\x9F\x99\x82"), "\xE2\x82\xAC \xF0\x9F\x99\x82");
}

class LoggedEvents : public testing::Test {
 protected:
  LoggedEvents() {
    const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    sink->set_pattern("%l: %v");
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  ~LoggedEvents() override { spdlog::set_default_logger(before_); }
  LoggedEvents(const LoggedEvents&) = delete;
  LoggedEvents& operator=(const LoggedEvents&) = delete;

  std::size_t lines() const {
    const std::string text = text_.str();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  static DocumentStatus failed(ErrorCode code, const std::string& error) {
    DocumentStatus status;
    status.id = "d1";
    status.owner = 1000;
    status.phase = DocumentPhase::kFailed;
    status.error_code = code;
    status.error = error;
    return status;
  }

  Events::Clock::time_point now_{std::chrono::hours(1)};
  Events events_{[this] { return now_; }};
  std::ostringstream text_;

 private:
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(LoggedEvents, AreAllCountedAndNotAllLogged) {
  for (int i = 0; i < 1000; ++i) events_.document_failed(failed(ErrorCode::kModel, "the model failed"));
  EXPECT_EQ(events_.counts().at({"document_failed", "model"}), 1000u);
  EXPECT_EQ(lines(), static_cast<std::size_t>(Events::kBurst));
  // It does not silence another kind.
  events_.refused(LimitError("too many", "limits.connections", 5, "wait"), 1000);
  EXPECT_THAT(text_.str(), HasSubstr("user 1000 was refused: too many (limits.connections is 5); wait"));
  EXPECT_EQ(events_.counts().at({"refused", "limits.connections"}), 1u);
  now_ += Events::kBetween;
  events_.document_failed(failed(ErrorCode::kModel, "the model failed"));
  EXPECT_THAT(text_.str(), HasSubstr("(990 similar messages suppressed)"));
}

TEST_F(LoggedEvents, OfTheJournalHaveAKindOfTheirOwn) {
  events_.document_failed(failed(ErrorCode::kJournal, "the journal (j) could not be used: disk is full"));
  events_.refused(Error(ErrorCode::kJournal, "the journal (j) could not be used: disk is full"), 1000);
  EXPECT_EQ(events_.counts().at({"journal_error", "commit"}), 1u);
  EXPECT_EQ(events_.counts().at({"journal_error", "open"}), 1u);
}

TEST_F(LoggedEvents, AreNoWrongRequests) {
  count_refusal(events_, Error(ErrorCode::kInvalidParams, "no such option"), 1000);
  EXPECT_TRUE(events_.counts().empty());
  count_refusal(events_, LimitError("too many", "limits.documents", 5, "wait"), 1000);
  count_refusal(events_, Error(ErrorCode::kJournal, "disk is full"), 1000);
  EXPECT_EQ(events_.counts().at({"refused", "limits.documents"}), 1u);
  EXPECT_EQ(events_.counts().at({"journal_error", "open"}), 1u);
}

TEST_F(LoggedEvents, SayNothingThatADocumentMaySay) {
  events_.document_failed(failed(ErrorCode::kPluginFailed, "plugin x: SECRET"));
  EXPECT_THAT(text_.str(), HasSubstr("document d1 of user 1000 failed (plugin_failed)"));
  EXPECT_THAT(text_.str(), Not(HasSubstr("SECRET")));
  EXPECT_EQ(lines(), 1u);
}

TEST(HttpQuery, ValuesAreOfTheTypesThatThePluginDeclares) {
  const std::string schema = R"({"type":"object","properties":{
      "session":{"type":"string"},"top":{"type":"integer"},"rate":{"type":"number"},"deep":{"type":"boolean"},
      "either":{"type":["string","integer"]},"choice":{"enum":["1","2"]},"list":{"type":"array"},
      "text_or_null":{"type":["string","null"]}}})";
  const auto options = [&](const std::string& query, const std::string& declared) {
    return options_of(parse_target("/v1/x?" + query), declared);
  };
  EXPECT_EQ(options("session=42&top=42&rate=1&deep=true", schema),
            json({{"session", "42"}, {"top", 42}, {"rate", 1}, {"deep", true}}));
  EXPECT_EQ(
      options("session=true&either=7&choice=1&list=[1,2]&text_or_null=1.5", schema),
      json({{"session", "true"}, {"either", 7}, {"choice", "1"}, {"list", {1, 2}}, {"text_or_null", "1.5"}}));
  // What does not fit stays text: the plugin then reports what it accepts.
  EXPECT_EQ(options("top=many&rate=true&deep=1&list=x", schema),
            json({{"top", "many"}, {"rate", "true"}, {"deep", "1"}, {"list", "x"}}));
  EXPECT_EQ(options("flag&top=3&name=x", ""), json({{"flag", true}, {"top", 3}, {"name", "x"}}));
  EXPECT_EQ(options("unknown=5", schema), json({{"unknown", 5}}));
  EXPECT_EQ(options("top=5", "not JSON"), json({{"top", 5}}));
}

TEST(HttpStatus, OfALimitSaysWhoCanDoWhat) {
  const auto status = [](const char* key) { return http_status(LimitError("x", key, 1, "y")); };
  EXPECT_EQ(status("limits.document_bytes"), 413u);
  EXPECT_EQ(status("limits.documents_per_user"), 429u);
  EXPECT_EQ(status("limits.documents_per_connection"), 429u);
  EXPECT_EQ(status("limits.documents"), 503u);
  EXPECT_EQ(http_status(Error(ErrorCode::kDocumentUnknown, "x")), 404u);
  EXPECT_THAT(HttpAnswer{}.error(LimitError("x", "limits.documents", 1, "y")), HasSubstr("Retry-After: "));
  EXPECT_THAT(HttpAnswer{}.error(LimitError("x", "limits.document_bytes", 1, "y")),
              Not(HasSubstr("Retry-After")));
}

}  // namespace
}  // namespace unroll::test
