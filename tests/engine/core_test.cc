// The engine's core, round by round, with a simulated clock.
#include <cmath>
#include <map>

#include "engine/engine_core.h"
#include "tests/engine/testing.h"

namespace unroll {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;

class Core : public testing::Test {
 protected:
  void start(EngineOptions options = {}, std::size_t state_bytes = 8,
             std::shared_ptr<const PluginRegistry> plugins = registry()) {
    options.now = [this] { return now_; };
    model_ = std::make_shared<HashModel>(
        [this](std::span<const BlockInput> blocks) {
          blocks_ += blocks.size();
          now_ += block_time_ * blocks.size();
        },
        state_bytes);
    core_ =
        std::make_unique<EngineCore>(Revision{model_, vocabulary(), std::move(plugins)}, std::move(options));
  }

  struct Opened {
    DocumentId id;
    std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  };
  Opened open(const DocumentRequest& request = a_request()) {
    Opened opened;
    opened.id = core_->open(request, opened.recorder).id;
    return opened;
  }
  Opened open_with(const std::string& text, DocumentRequest request = a_request()) {
    auto opened = open(request);
    core_->append(opened.id, text, {});
    return opened;
  }
  void run_until_idle() {
    while (core_->has_work()) core_->round();
  }
  std::vector<std::string> read(const std::string& text, const DocumentRequest& request = a_request()) {
    const auto document = open_with(text, request);
    core_->end(document.id);
    run_until_idle();
    EXPECT_EQ(document.recorder->wait().phase, DocumentPhase::kDone);
    return lines(document.recorder->outputs());
  }

  OpenDocument::TimePoint now_{std::chrono::hours(1)};
  std::chrono::milliseconds block_time_{0};
  std::uint64_t blocks_ = 0;
  std::shared_ptr<HashModel> model_;
  std::unique_ptr<EngineCore> core_;
};

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

/// More tokens than a block holds, although fewer bytes were sent before.
TEST_F(Core, ResumedWithOtherBytesThanBeforeItFails) {
  const TemporaryFolder folder;
  start({.journal = folder / "j"});
  auto request = a_request();
  request.flush_after = 1000ms;
  const auto document = open(request);
  std::string line;
  for (int i = 0; i < 12; ++i) line += "the ";
  line += '\n';
  core_->append(document.id, line, {});
  run_until_idle();
  now_ += 1000ms;
  core_->round();
  core_->cancel(document.id, Error(ErrorCode::kPeerGone, "gone"));
  run_until_idle();
  const auto status = document.recorder->wait();
  ASSERT_EQ(status.bytes, line.size());
  ASSERT_LT(status.tokens, static_cast<std::uint64_t>(kTestBlock));
  ASSERT_GT(line.size(), static_cast<std::size_t>(kTestBlock));

  request.resume = document.id;
  const auto again = open(request);
  core_->append(document.id, std::string(line.size() - 1, '\x01') + "\n", {});
  core_->end(document.id);
  run_until_idle();
  const auto failed = again.recorder->wait();
  EXPECT_EQ(failed.error_code, ErrorCode::kSource);
  EXPECT_THAT(failed.error, HasSubstr("are not those that were read before"));
}

/// Too short for a resume point: all of it is read again, and nothing is emitted twice.
TEST_F(Core, OtherBytesThanThoseOfTheOutputsSoFarAreRefused) {
  const TemporaryFolder folder;
  const auto text = some_text(1500, 1), other = some_text(1500, 2);
  start();
  const auto expected = read(text);
  for (const bool shorter : {false, true}) {
    start({.journal = folder / (shorter ? "a" : "b")});
    auto request = a_request();
    const auto document = open_with(text.substr(0, 1000), request);
    run_until_idle();
    now_ += 2000ms;
    core_->round();  // the outputs are committed, but no state
    const auto before = document.recorder->outputs();
    ASSERT_THAT(before, testing::Not(testing::IsEmpty()));
    core_->cancel(document.id, Error(ErrorCode::kPeerGone, "gone"));
    run_until_idle();
    const auto read_bytes = document.recorder->wait().bytes;

    request.resume = document.id;
    const auto again = std::make_shared<Recorder>();
    ASSERT_EQ(core_->open(request, again).resume_bytes, 0u);
    // Everything before the last byte read is the same.
    core_->append(document.id,
                  shorter ? text.substr(0, read_bytes - 1) : text.substr(0, read_bytes - 1) + other, {});
    core_->end(document.id);
    run_until_idle();
    const auto failed = again->wait();
    EXPECT_EQ(failed.error_code, ErrorCode::kSource);
    EXPECT_THAT(failed.error, HasSubstr(std::to_string(read_bytes) + " bytes are not those that were read"));
    EXPECT_THAT(again->outputs(), testing::IsEmpty());
    EXPECT_EQ(lines(core_->outputs(document.id, 0, 1 << 20)), lines(before));

    const auto right = open(request);
    core_->append(document.id, text, {});
    core_->end(document.id);
    run_until_idle();
    EXPECT_EQ(right.recorder->wait().phase, DocumentPhase::kDone);
    EXPECT_EQ(lines(core_->outputs(document.id, 0, 1 << 20)), expected);
  }
}

/// It is interrupted repeatedly before it gets as far as it was once.
TEST_F(Core, ADigestOutlivesResumesThatDoNotReachIt) {
  const TemporaryFolder folder;
  const auto text = some_text(3000, 1);
  start({.journal = folder / "j"});
  auto request = a_request();
  const auto first = open_with(text.substr(0, 2500), request);
  run_until_idle();
  core_->cancel(first.id, Error(ErrorCode::kPeerGone, "gone"));
  run_until_idle();
  const auto read_bytes = first.recorder->wait().bytes;
  request.resume = first.id;
  const auto point = core_->resume_point(first.id).resume_bytes;
  ASSERT_LT(point + 40, read_bytes);
  for (int i = 0; i < 3; ++i) {
    const auto again = open(request);
    core_->append(first.id, text.substr(point, 20), {});
    run_until_idle();
    core_->cancel(first.id, Error(ErrorCode::kPeerGone, "gone"));
    run_until_idle();
    again.recorder->wait();
  }
  auto other = text.substr(point);
  other[read_bytes - point - 1] ^= 1;
  const auto again = open(request);
  core_->append(first.id, other, {});
  core_->end(first.id);
  run_until_idle();
  EXPECT_EQ(again.recorder->wait().error_code, ErrorCode::kSource);
}

TEST_F(Core, AnOwnerWhoTakesTooMuchOfTheJournalFailsAlone) {
  constexpr std::uint64_t kLimit = 60'000;
  const TemporaryFolder folder;
  const auto text = some_text(150'000, 1);
  start();
  const auto expected = read(text);
  start({.journal = folder / "j", .max_journal_bytes_per_owner = kLimit, .commit_blocks = 2});
  auto other = a_request();
  other.owner = 7;
  const auto modest = open_with(some_text(500, 2), other);
  const auto greedy = open_with(text);
  run_until_idle();
  const auto failed = greedy.recorder->wait();
  EXPECT_EQ(failed.error_code, ErrorCode::kLimit);
  EXPECT_THAT(failed.error,
              testing::AllOf(HasSubstr(greedy.id), HasSubstr("limits.journal_bytes_per_user is 60000")));
  EXPECT_LT(failed.bytes, text.size());
  const auto stats = core_->stats();
  EXPECT_GT(stats.journal_largest_owner_bytes, kLimit);
  EXPECT_LT(stats.journal_largest_owner_bytes, kLimit + kLimit / 2) << "within a commit";
  const auto error = error_of([&] { open(); });
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_THAT(error.what(), HasSubstr("limits.journal_bytes_per_user"));

  core_->append(modest.id, some_text(500, 3), {});
  core_->end(modest.id);
  run_until_idle();
  EXPECT_EQ(modest.recorder->wait().phase, DocumentPhase::kDone) << "another owner's";
  EXPECT_EQ(error_of([&] { core_->remove("nobody"); }).code, ErrorCode::kDocumentUnknown);
  const auto reading = open(other);
  EXPECT_EQ(error_of([&] { core_->remove(reading.id); }).code, ErrorCode::kDocumentState);

  core_->remove(greedy.id);
  EXPECT_EQ(error_of([&] { core_->status(greedy.id); }).code, ErrorCode::kDocumentUnknown);
  EXPECT_THAT(read(some_text(500, 4)), testing::Not(testing::IsEmpty())) << "there is room again";
}

TEST_F(Core, StatesArePutAwayUnderTheMemoryLimitAndComeBack) {
  constexpr std::size_t kStateBytes = 100'000;
  constexpr int kDocuments = 60;
  const TemporaryFolder folder;
  start();
  std::vector<std::vector<std::string>> expected;
  for (int i = 0; i < kDocuments; ++i) expected.push_back(read(some_text(1500, i)));

  start({.journal = folder / "j", .max_memory_bytes = 3'000'000, .batch = 4}, kStateBytes);
  std::vector<Opened> documents;
  for (int i = 0; i < kDocuments; ++i) documents.push_back(open());
  for (std::size_t at = 0; at < 1500; at += 500) {
    for (int i = 0; i < kDocuments; ++i) {
      core_->append(documents[i].id, some_text(1500, i).substr(at, 500), {});
      if (at == 1000) core_->end(documents[i].id);
    }
    while (core_->has_work()) {
      core_->round();
      ASSERT_LE(core_->stats().memory_bytes, 3'000'000 + core_->stats().buffered_bytes);
    }
  }
  for (int i = 0; i < kDocuments; ++i) {
    EXPECT_EQ(documents[i].recorder->wait().phase, DocumentPhase::kDone);
    EXPECT_EQ(lines(documents[i].recorder->outputs()), expected[i]) << i;
  }
  EXPECT_GT(core_->stats().evictions, 50u);
  EXPECT_EQ(core_->stats().memory_bytes, 0u);
}

/// Creates instances until it is broken, as when a worker cannot be started because there are no descriptors.
class BreakablePlugins final : public PluginRegistry {
 public:
  BreakablePlugins() { load_directory(default_plugin_directory()); }
  bool broken = false;
  std::unique_ptr<PluginInstance> create(std::string_view name, std::string_view options,
                                         EmitFunction emit) const override {
    if (broken && name == "anomaly") throw PluginError(UNROLL_ERROR_INTERNAL, "too many open files");
    return PluginRegistry::create(name, options, std::move(emit));
  }
};

/// With AddressSanitizer it fails if anything still refers to a document that has failed.
TEST_F(Core, ADocumentThatCannotBeRestoredFailsAndLeavesNothingBehind) {
  constexpr std::size_t kStateBytes = 100'000;
  constexpr int kDocuments = 40, kFailed = 5;
  const TemporaryFolder folder;
  const auto plugins = std::make_shared<BreakablePlugins>();
  start({.journal = folder / "j", .max_memory_bytes = 2'000'000, .batch = 1}, kStateBytes, plugins);
  std::vector<Opened> documents;
  for (int i = 0; i < kDocuments; ++i) {
    documents.push_back(open_with(some_text(500, i)));
    run_until_idle();
  }
  ASSERT_GT(core_->stats().evictions, static_cast<std::uint64_t>(kFailed));
  plugins->broken = true;
  for (int i = 0; i < kFailed; ++i) core_->append(documents[i].id, some_text(2000, i), {});
  run_until_idle();
  plugins->broken = false;
  for (int i = 0; i < kFailed; ++i) {
    const auto status = documents[i].recorder->wait();
    EXPECT_EQ(status.error_code, ErrorCode::kPluginFailed);
    EXPECT_THAT(status.error, HasSubstr("too many open files"));
  }
  for (int i = kFailed; i < kDocuments; ++i) {
    core_->append(documents[i].id, some_text(500, i), {});
    core_->end(documents[i].id);
    run_until_idle();
    EXPECT_EQ(documents[i].recorder->wait().phase, DocumentPhase::kDone);
  }
  const auto stats = core_->stats();
  EXPECT_EQ(stats.resident_documents, 0u);
  EXPECT_EQ(stats.memory_bytes, 0u);
}

/// With AddressSanitizer it fails if the engine accesses the documents of a failed launch.
TEST_F(Core, AModelThatFailsClosesAllDocumentsOfTheLaunch) {
  EngineOptions options{.batch = 4};
  options.now = [this] { return now_; };
  core_ = std::make_unique<EngineCore>(
      Revision{std::make_shared<HashModel>([](auto) { throw std::runtime_error("out of order"); }),
               vocabulary(), registry()},
      std::move(options));
  std::vector<Opened> documents;
  for (int i = 0; i < 4; ++i) documents.push_back(open_with(some_text(500, i)));
  run_until_idle();
  for (const auto& document : documents) {
    EXPECT_EQ(document.recorder->wait().error_code, ErrorCode::kModel);
  }
  EXPECT_EQ(core_->stats().open_documents, 0u);
  EXPECT_EQ(core_->stats().failed_by_reason.at(ErrorCode::kModel), 4u);
}

TEST_F(Core, OneOwnersMemoryLimitPutsAwayThatOwnersDocuments) {
  constexpr std::size_t kStateBytes = 100'000;
  const TemporaryFolder folder;
  start({.journal = folder / "j", .max_memory_bytes_per_owner = 1'000'000}, kStateBytes);
  auto other = a_request();
  other.owner = 2000;
  const auto first = open_with(some_text(500), other);
  for (int i = 0; i < 15; ++i) open_with(some_text(500, i));
  run_until_idle();
  const auto put_away = core_->stats().evictions;
  EXPECT_GT(put_away, 5u);
  core_->append(first.id, some_text(500), {});
  run_until_idle();
  EXPECT_EQ(core_->stats().evictions, put_away) << "the other's, which was read the longest ago, stayed";
}

TEST_F(Core, MemoryThatCannotBePutAwayLimitsWhatIsOpen) {
  // In memory there is no journal for states, so the possible total is charged from the start.
  start({.max_memory_bytes = 1'000'000, .max_memory_bytes_per_owner = 600'000}, 100'000);
  std::vector<Opened> documents;
  for (int i = 0; i < 5; ++i) documents.push_back(open());
  auto error = error_of([&] { open(); });
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_THAT(error.what(), HasSubstr("limits.memory_bytes_per_user is 600000"));
  auto other = a_request();
  for (const auto owner : {2000, 3000, 4000}) {
    other.owner = owner;
    open(other);
  }
  other.owner = 5000;
  EXPECT_THAT(error_of([&] { open(other); }).what(), HasSubstr("limits.memory_bytes is 1000000"));
  core_->end(documents[0].id);
  run_until_idle();
  open(other);
}

TEST_F(Core, WritersWaitForTheBuffersOfAllDocuments) {
  start({.max_buffered_bytes = 10'000, .max_buffered_bytes_per_owner = 8'000, .batch = 1});
  std::map<int, int> rooms;
  std::vector<Opened> documents;
  const auto append = [&](int i, std::size_t bytes) {
    core_->append(documents[i].id, std::string(bytes, '\x01'), [&rooms, i] { ++rooms[i]; });
  };
  auto other = a_request();
  other.owner = 2000;
  for (int i = 0; i < 3; ++i) documents.push_back(open(i == 2 ? other : a_request()));
  append(0, 6000);
  EXPECT_EQ(rooms[0], 1);
  append(1, 3000);
  EXPECT_EQ(rooms[1], 0) << "9000 of one user's 8000";
  append(2, 500);
  EXPECT_EQ(rooms[2], 1);
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("limits.buffered_bytes_per_user is 8000"));
  open(other);
  append(2, 4000);
  EXPECT_EQ(rooms[2], 1) << "13500 of everybody's 10000";
  EXPECT_THAT(error_of([&] { open(other); }).what(), HasSubstr("limits.buffered_bytes is 10000"));
  run_until_idle();
  EXPECT_EQ(rooms[1], 1);
  EXPECT_EQ(rooms[2], 2);
  EXPECT_EQ(core_->stats().buffered_bytes, 0u);
}

TEST_F(Core, ResumedAndLostAgainBeforeAnyByteItGoesOnWhereItDid) {
  // Its resume point was made again then, in the middle of a segment.
  const TemporaryFolder folder;
  start({.journal = folder / "j", .commit_blocks = 1});
  const auto text = some_text(3000, 5);
  const auto expected = read(text);
  const auto id = open_with(text.substr(0, 2000)).id;
  run_until_idle();
  const Error gone(ErrorCode::kPeerGone, "gone");
  core_->cancel(id, gone);
  run_until_idle();
  const auto before = core_->resume_point(id);
  EXPECT_GT(before.resume_bytes, 0u);
  EXPECT_EQ(before.next_sequence, core_->status(id).outputs);
  core_->open(a_request(id), nullptr);
  core_->cancel(id, gone);
  run_until_idle();
  EXPECT_EQ(core_->resume_point(id).resume_bytes, before.resume_bytes);
  core_->open(a_request(id), nullptr);
  EXPECT_EQ(error_of([&] { core_->resume_point(id); }).code, ErrorCode::kDocumentState) << "it is being read";
  core_->append(id, text.substr(before.resume_bytes), {});
  core_->end(id);
  run_until_idle();
  EXPECT_EQ(lines(core_->outputs(id, 0, 1 << 20)), expected);
  EXPECT_EQ(error_of([&] { core_->resume_point(id); }).code, ErrorCode::kDocumentState) << "it has ended";
}

/// The words of the outputs, as "WORD NATS".
std::vector<std::string> words_of(const std::vector<Output>& outputs) {
  std::vector<std::string> words;
  for (const auto& output : outputs) {
    const auto said = nlohmann::json::parse(output.json);
    if (said["type"] != "words") continue;
    for (const auto& word : said["words"])
      words.push_back(word["word"].get<std::string>() + " " + word["nats"].dump());
  }
  return words;
}

/// With a token per word, the last one fills a block, or falls short of it, or begins the next.
TEST_F(Core, AWordEndsAtTheEndOfTheTextAsItDoesBeforeMoreText) {
  const TemporaryFolder folder;
  auto request = a_request();
  request.plugins = {{"words", nlohmann::json::object()}};
  for (const auto count : {1L, kTestBlock - 1, kTestBlock, kTestBlock + 1, 2 * kTestBlock}) {
    SCOPED_TRACE(count);
    std::string text = "the";
    for (int i = 1; i < count; ++i) text += " the";
    start({.journal = folder / std::to_string(count), .commit_blocks = 1});
    const auto read_words = [&](const std::string& bytes, const DocumentRequest& with) {
      const auto document = open_with(bytes, with);
      core_->end(document.id);
      run_until_idle();
      const auto status = document.recorder->wait();
      EXPECT_EQ(status.phase, DocumentPhase::kDone) << status.error;
      EXPECT_EQ(status.bytes, bytes.size());
      return words_of(document.recorder->outputs());
    };
    auto expected = read_words(text + " the", request);
    ASSERT_THAT(expected, SizeIs(count + 1));
    const auto next = expected.back();
    expected.pop_back();
    auto kept = request;
    kept.snapshot = SnapshotRequest{"a", {}};
    EXPECT_EQ(read_words(text, kept), expected);
    auto after = request;
    after.from = "a";
    EXPECT_THAT(read_words(" the", after), testing::ElementsAre(next));
    EXPECT_THAT(read_words("", after), IsEmpty());

    // All but the end was sent before it was resumed.
    const auto document = open_with(text, request);
    run_until_idle();
    core_->cancel(document.id, Error(ErrorCode::kPeerGone, "gone"));
    run_until_idle();
    auto again = request;
    again.resume = document.id;
    const auto from = core_->open(again, nullptr).resume_bytes;
    core_->append(document.id, text.substr(from), {});
    core_->end(document.id);
    run_until_idle();
    EXPECT_EQ(words_of(core_->outputs(document.id, 0, 1 << 20)), expected);

    // All tokens are seen when the end comes.
    const auto line = read_words(text + "\n", request);
    auto flushed = request;
    flushed.flush_after = 1000ms;
    const auto waits = open_with(text + "\n", flushed);
    run_until_idle();
    now_ += 1000ms;
    core_->round();
    core_->end(waits.id);
    run_until_idle();
    EXPECT_EQ(waits.recorder->wait().phase, DocumentPhase::kDone);
    EXPECT_EQ(words_of(waits.recorder->outputs()), line);
  }
}

TEST_F(Core, AnEndlessDocumentKeepsItsNewestOutputsOnly) {
  const TemporaryFolder folder;
  start({.journal = folder / "j", .commit_blocks = 1});
  auto request = a_request();
  request.keep_outputs = 10;
  const auto document = open_with(some_text(3000, 4), request);
  run_until_idle();
  const auto told = document.recorder->outputs();
  ASSERT_GT(told.size(), 50u);
  const auto kept = core_->outputs(document.id, 0, 1000);
  EXPECT_EQ(lines(kept), lines({told.end() - 10, told.end()}));
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
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("limits.documents is 10000"));
}

TEST_F(Core, ALargeStateIsWrittenOnceItsBlocksTookLongEnough) {
  // 12 MB at 100 MB/s take 0.12 s, which is 3 % of 4 s; a small state is written after commit_blocks.
  constexpr std::size_t kLarge = 12'000'000, kBlocks = 100;
  for (const auto& [state_bytes, block_time, least, most] :
       {std::tuple(kLarge, 100ms, 2, 3), std::tuple(kLarge, 1ms, 0, 0), std::tuple(kLarge, 10'000ms, 99, 100),
        std::tuple(std::size_t{8}, 1ms, 99, 100)}) {
    const TemporaryFolder folder;
    const auto text = some_text(kBlocks * kTestBlock, 9);
    start({.journal = folder / "j", .commit_blocks = 1}, state_bytes);
    const auto expected = read(text);
    int written = 0;
    model_->set_state_hook(
        [&](const char* function) { written += std::string_view(function) == "serialize"; });
    block_time_ = block_time;
    const auto id = open_with(text).id;
    const auto blocks_before = blocks_;
    run_until_idle();
    const auto blocks = static_cast<int>(blocks_ - blocks_before);
    EXPECT_GE(written * 100, least * blocks) << state_bytes << " bytes, " << block_time.count() << " ms";
    EXPECT_LE(written * 100, most * blocks) << state_bytes << " bytes, " << block_time.count() << " ms";
    // Whatever was written, the document continues with the same outputs.
    core_->cancel(id, Error(ErrorCode::kPeerGone, "gone"));
    run_until_idle();
    const auto point = core_->resume_point(id);
    core_->open(a_request(id), nullptr);
    core_->append(id, text.substr(point.resume_bytes), {});
    core_->end(id);
    run_until_idle();
    EXPECT_EQ(lines(core_->outputs(id, 0, 1 << 20)), expected);
    block_time_ = 0ms;
  }
}

}  // namespace
}  // namespace unroll
