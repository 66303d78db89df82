// The engine's core: documents are interrupted and resumed, and what the journal keeps for that.
#include <algorithm>
#include <tuple>
#include <utility>

#include "tests/engine/core_case.h"

namespace unroll {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST_F(Core, WhatHasEndedIsForgottenWhileTheEngineRuns) {
  const TemporaryFolder folder;
  const auto is_known = [&](const DocumentId& id) {
    const auto known = core_->list({});
    return std::ranges::count(known, id, &DocumentStatus::id) > 0;
  };
  // The journal counts the time since a document's end by the system's clock: -1 hours have passed at once.
  for (const auto& [keep, pause] : {std::pair(-1h, 1s), std::pair(24h, 60s)}) {
    core_.reset();
    start({.journal = folder / std::to_string(keep.count()), .keep_finished = keep});
    core_->round();
    const auto document = open_with(some_text(500));
    core_->end(document.id);
    run_until_idle();
    ASSERT_EQ(document.recorder->wait().phase, DocumentPhase::kDone);
    ASSERT_TRUE(is_known(document.id));
    now_ += pause;
    core_->round();
    EXPECT_EQ(is_known(document.id), keep > 0h);
  }
}

/// Commits are made between the pieces, and the next piece does not wait for the clock.
TEST_F(Core, ALongDocumentIsForgottenInOnePieceAfterAnother) {
  const TemporaryFolder folder;
  Commit commit;
  commit.status.id = "long";
  commit.status.phase = DocumentPhase::kDone;
  commit.opening = Opening{{{"score"}}, "checkpoint"};
  for (std::uint64_t i = 0; i < 2 * Journal::kForgetOutputs + 1; ++i)
    commit.outputs.push_back({i, "score", "{}"});
  Journal(folder / "j").commit({&commit, 1});
  start({.journal = folder / "j", .keep_finished = -1h});
  core_->round();
  EXPECT_EQ(core_->list({}).size(), 1u) << "a piece is gone";
  for (int rounds = 0; rounds < 5; ++rounds) core_->round();
  EXPECT_EQ(core_->list({}).size(), 0u);
}

/// cancel() is what the daemon calls for each client that disconnects, however late: it neither throws nor
/// writes.
TEST_F(Core, WhatIsNotOpenIsCancelledOnlyIfItWaitsAndOnRequest) {
  const TemporaryFolder folder;
  const Error reason(ErrorCode::kCancelled, "as asked"), again(ErrorCode::kPeerGone, "gone");
  start({.journal = folder / "j"});
  const auto id = open_with(some_text(500)).id;
  run_until_idle();
  core_.reset();
  start({.journal = folder / "j"});
  EXPECT_FALSE(core_->cancel("nobody", reason));
  EXPECT_FALSE(core_->cancel(id, reason));
  EXPECT_EQ(core_->status(id).phase, DocumentPhase::kOpen);
  EXPECT_EQ(error_of([&] { core_->cancel_waiting("nobody", reason); }).code, ErrorCode::kDocumentUnknown);
  core_->cancel_waiting(id, reason);
  core_->cancel_waiting(id, again);
  EXPECT_EQ(core_->status(id).error_code, ErrorCode::kCancelled);
  open(a_request(id));
  EXPECT_EQ(error_of([&] { core_->cancel_waiting(id, again); }).code, ErrorCode::kDocumentState);
}

}  // namespace
}  // namespace unroll
