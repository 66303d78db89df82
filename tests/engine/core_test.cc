// The engine's core, round by round: which document gets the next block, and when it is committed.
#include <cmath>

#include "tests/engine/core_case.h"

namespace unroll {
namespace {

using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(Core, TurnsAreSharedByWeightAndNobodyWaitsLonger) {
  block_time_ = 100ms;
  start({.batch = 1});
  constexpr int kDocuments = 400;
  std::vector<double> weights;
  std::vector<Opened> documents;
  double all = 0;
  for (int i = 0; i < kDocuments; ++i) {
    auto request = a_request();
    request.priority = i % 21 - 10;
    weights.push_back(std::pow(1.25, request.priority));
    all += weights.back();
    documents.push_back(open_with(std::string(kTestBlock * 600, '\x01'), request));
  }
  // Between two blocks of a document every other document gets its share of blocks, rounded up.
  std::vector<std::uint64_t> tokens(kDocuments), last(kDocuments);
  constexpr std::uint64_t kRounds = 20'000;
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    core_->round();
    for (int i = 0; i < kDocuments; i += 7) {
      const auto now = core_->status(documents[i].id).tokens;
      if (now == tokens[i]) continue;
      ASSERT_LE(round - last[i], all / weights[i] + kDocuments) << "priority " << i % 21 - 10;
      tokens[i] = now;
      last[i] = round;
    }
  }
  for (int i = 0; i < kDocuments; i += 7) {
    const double turns_due = kRounds * weights[i] / all;
    EXPECT_NEAR(static_cast<double>(tokens[i]) / kTestBlock, turns_due, 1.5) << "priority " << i % 21 - 10;
  }
}

TEST_F(Core, OwnersShareTheTurnsAlikeWhateverTheyHaveOpen) {
  start({.batch = 1});
  auto mine = a_request(), theirs = a_request();
  mine.owner = 1;
  theirs.owner = 2;
  theirs.priority = 10;
  const std::string text(kTestBlock * 1000, '\x01');
  const auto one = open_with(text, mine);
  std::vector<Opened> many;
  for (int i = 0; i < 100; ++i) many.push_back(open_with(text, theirs));
  for (int i = 0; i < 400; ++i) core_->round();
  EXPECT_THAT(core_->status(one.id).tokens / kTestBlock, testing::AllOf(Ge(199u), Le(201u)));
  for (const auto& other : many)
    EXPECT_THAT(core_->status(other.id).tokens / kTestBlock, testing::AllOf(Ge(1u), Le(3u)));
}

TEST_F(Core, AnOwnerWhoWasIdleGetsNoTurnsInArrears) {
  start({.batch = 1});
  auto mine = a_request(), theirs = a_request();
  mine.owner = 1;
  theirs.owner = 2;
  const std::string text(kTestBlock * 1000, '\x01');
  const auto idle = open(mine), busy = open_with(text, theirs);
  for (int i = 0; i < 200; ++i) core_->round();
  core_->append(idle.id, text, {});
  for (int i = 0; i < 100; ++i) core_->round();
  EXPECT_THAT(core_->status(idle.id).tokens / kTestBlock, testing::AllOf(Ge(49u), Le(51u)));
}

TEST_F(Core, OneThatWasIdleGetsNoTurnsInArrears) {
  start({.batch = 1});
  const auto idle = open(), busy = open_with(std::string(kTestBlock * 600, '\x01'));
  for (int i = 0; i < 200; ++i) core_->round();
  core_->append(idle.id, std::string(kTestBlock * 600, '\x01'), {});
  for (int i = 0; i < 100; ++i) core_->round();
  EXPECT_THAT(core_->status(idle.id).tokens / kTestBlock, testing::AllOf(Ge(49u), Le(51u)));
}

TEST_F(Core, WhatComesBehindAQuietTimeIsToldAtOnce) {
  start();
  const std::string text = std::string(kTestBlock - 1, '\x01') + '\n';
  const auto document = open_with(text + '\x01');
  run_until_idle();
  EXPECT_THAT(document.recorder->outputs(), Not(IsEmpty())) << "the engine's first block";
  core_->append(document.id, text, {});
  run_until_idle();
  const auto before = document.recorder->outputs().size();
  now_ += core_->options.commit_interval;
  core_->append(document.id, text, {});
  run_until_idle();
  EXPECT_THAT(document.recorder->outputs(), SizeIs(Ge(before + 2)));
}

TEST_F(Core, DocumentsThatEndDoNotPutOffWhenOthersAreCommitted) {
  start();
  const std::string text = std::string(kTestBlock - 1, '\x01') + '\n';
  read(text);  // the engine's first block
  const auto slow = open_with(text + text);
  run_until_idle();
  for (int i = 0; i < 6; ++i) {
    now_ += core_->options.commit_interval / 4;
    read(text);
  }
  EXPECT_THAT(slow.recorder->outputs(), Not(IsEmpty()));
}

TEST_F(Core, ACancelledDocumentGetsNoOtherBlock) {
  start({.batch = 1});
  const auto document = open_with(std::string(kTestBlock * 600, '\x01'));
  for (int i = 0; i < 10; ++i) core_->round();
  const auto blocks = blocks_;
  core_->cancel(document.id, Error(ErrorCode::kCancelled, "as asked"));
  core_->round();
  EXPECT_EQ(blocks_, blocks);
  EXPECT_EQ(document.recorder->wait().error_code, ErrorCode::kCancelled);
}

TEST_F(Core, ADeadlineThatPassesInABlockIsKeptBehindIt) {
  block_time_ = 1000ms;
  start({.batch = 1});
  auto request = a_request();
  request.deadline = 4500ms;
  const auto document = open_with(std::string(kTestBlock * 600, '\x01'), request);
  run_until_idle();
  EXPECT_EQ(document.recorder->wait().error_code, ErrorCode::kDeadline);
  EXPECT_EQ(blocks_, 5u);
}

TEST_F(Core, AnIdleDocumentsDeadlineWakesTheEngine) {
  start();
  auto request = a_request();
  request.deadline = 4500ms;
  const auto document = open(request);
  run_until_idle();
  ASSERT_EQ(core_->next_wake(), now_ + 4500ms);
  now_ += 4500ms;
  core_->round();
  EXPECT_EQ(document.recorder->wait().error_code, ErrorCode::kDeadline);
  EXPECT_FALSE(core_->next_wake());
}

TEST_F(Core, WhatIsNotABlockIsReadWhenItIsQuietForLongEnough) {
  const TemporaryFolder folder;
  start({.journal = folder / "j"});
  auto request = a_request();
  request.plugins = {{"score", {{"granularity", "line"}}}};
  std::string text;
  for (int i = 0; i < 200; ++i) text += "line " + std::to_string(i * 7919 % 1000) + "\n";
  const auto expected = read(text, request);

  request.flush_after = 1000ms;
  const auto document = open(request);
  std::size_t sent = 0;
  const auto send = [&](std::size_t bytes) {
    core_->append(document.id, text.substr(sent, bytes), {});
    sent += bytes;
    run_until_idle();
  };
  send(4);
  send(11);
  now_ += 900ms;
  send(1);
  now_ += 900ms;
  core_->round();
  EXPECT_THAT(document.recorder->outputs(), IsEmpty()) << "the last bytes came 0.9 s ago";
  EXPECT_EQ(core_->next_wake(), now_ + 100ms);
  now_ += 100ms;
  core_->round();
  const auto heard = document.recorder->outputs().size();
  EXPECT_GT(heard, 0u) << "told at once, not with the next commit that is due";
  EXPECT_FALSE(core_->next_wake()) << "nothing is left to read";
  while (sent < text.size()) {
    send(37);
    now_ += 1000ms;
    core_->round();
  }
  core_->end(document.id);
  run_until_idle();
  EXPECT_EQ(document.recorder->wait().phase, DocumentPhase::kDone);
  EXPECT_EQ(lines(document.recorder->outputs()), expected) << "a flush changes no number";
}

TEST_F(Core, TenThousandOpenDocumentsCostARoundNothing) {
  start();
  std::vector<Opened> documents;
  for (int i = 0; i < 10'000; ++i) documents.push_back(open());
  run_until_idle();
  core_->append(documents[5000].id, std::string(kTestBlock * 50, '\x01'), {});
  std::uint64_t rounds = 0;
  for (; core_->has_work(); ++rounds) core_->round();
  EXPECT_THAT(rounds, Le(52u)) << "rounds for the one that has work";
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("limits.documents is 20000"));
}

}  // namespace
}  // namespace unroll
