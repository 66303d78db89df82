#include "engine/engine.h"

#include <atomic>
#include <future>
#include <map>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "tests/engine/testing.h"

namespace unroll {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

Engine an_engine(EngineOptions options = {}, HashModel::Watch watch = {}) {
  return Engine({std::make_shared<HashModel>(std::move(watch)), vocabulary(), registry()},
                std::move(options));
}

/// Appends in pieces of at most `piece` bytes, each when there is room.
void feed(Engine& engine, const DocumentId& id, std::string_view text, std::size_t piece) {
  while (!text.empty()) {
    std::promise<void> room;
    engine.append(id, std::string(text.substr(0, piece)), [&] { room.set_value(); });
    room.get_future().wait();
    text.remove_prefix(std::min(piece, text.size()));
  }
  engine.end(id);
}

/// The outputs of an undisturbed run.
std::vector<std::string> read_alone(const std::string& text, std::size_t piece = 1 << 20) {
  auto engine = an_engine();
  const auto recorder = std::make_shared<Recorder>();
  feed(engine, engine.open(a_request(), recorder).id, text, piece);
  EXPECT_EQ(recorder->wait().phase, DocumentPhase::kDone);
  return lines(recorder->outputs());
}

TEST(Engine, TheSameOutputsHoweverTheBytesArrive) {
  const auto text = some_text(5000);
  const auto expected = read_alone(text);
  ASSERT_GT(expected.size(), 100u);
  for (const std::size_t piece : {1u, 7u, 300u, 4999u}) EXPECT_EQ(read_alone(text, piece), expected) << piece;
}

TEST(Engine, ManyDocumentsAtOnceGiveWhatEachGivesAlone) {
  constexpr int kDocuments = 25;
  auto engine = an_engine({.batch = 4, .commit_blocks = 3});
  std::vector<std::shared_ptr<Recorder>> recorders;
  std::vector<std::thread> writers;
  for (int i = 0; i < kDocuments; ++i) {
    recorders.push_back(std::make_shared<Recorder>());
    const auto id = engine.open(a_request(), recorders.back()).id;
    writers.emplace_back([&engine, id, i] { feed(engine, id, some_text(300 + 100 * i, i), 50 + i); });
  }
  for (auto& writer : writers) writer.join();
  for (int i = 0; i < kDocuments; ++i) {
    EXPECT_EQ(recorders[i]->wait().phase, DocumentPhase::kDone);
    EXPECT_EQ(lines(recorders[i]->outputs()), read_alone(some_text(300 + 100 * i, i))) << i;
  }
  const auto stats = engine.stats();
  EXPECT_EQ(stats.documents_done, static_cast<std::uint64_t>(kDocuments));
  EXPECT_EQ(stats.open_documents, 0u);
}

TEST(Engine, AnEmptyDocumentIsDone) {
  auto engine = an_engine();
  const auto recorder = std::make_shared<Recorder>();
  engine.end(engine.open(a_request(), recorder).id);
  const auto status = recorder->wait();
  EXPECT_EQ(status.phase, DocumentPhase::kDone);
  EXPECT_EQ(status.tokens, 0u);
  EXPECT_EQ(recorder->outputs().size(), 2u) << "each plugin's last word";
}

/// The child's engine ends abruptly at block `fatal`, as after kill -9; the id is sent through a pipe.
DocumentId read_until_killed(const std::filesystem::path& journal, const std::string& text, int fatal) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    int block = 0;
    auto engine = an_engine({.journal = journal, .commit_blocks = 3}, [&](auto) {
      if (++block == fatal) ::_exit(0);
    });
    const auto recorder = std::make_shared<Recorder>();
    const auto id = engine.open(a_request(), recorder).id;
    if (::write(ends[1], id.data(), id.size()) != static_cast<ssize_t>(id.size())) ::_exit(1);
    feed(engine, id, text, 100);
    recorder->wait();
    ::_exit(2);  // the document was shorter than expected
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "the child did not end at the block it was to end at";
  DocumentId id(32, '?');
  EXPECT_EQ(::read(ends[0], id.data(), id.size()), 32);
  ::close(ends[0]);
  ::close(ends[1]);
  return id;
}

/// Empty if there are no bytes, as in Opened.
std::vector<std::byte> digest_of(std::string_view bytes) {
  if (bytes.empty()) return {};
  Sha256 sha256;
  sha256.add(bytes);
  return sha256.digest();
}

TEST(Engine, AfterAKillAtAnyBlockTheOutputsAreThoseOfAnUndisturbedRun) {
  const auto text = some_text(4000, 5);
  const auto expected = read_alone(text);
  for (int fatal = 1; fatal < 30; ++fatal) {
    const TemporaryFolder folder;
    const auto id = read_until_killed(folder / "j", text, fatal);
    auto engine = an_engine({.journal = folder / "j"});
    const auto recorder = std::make_shared<Recorder>();
    const auto opened = engine.open(a_request(id), recorder);
    EXPECT_EQ(opened.id, id);
    // Committed after the first block, which contains the document's first segment, then after every three.
    EXPECT_EQ(opened.resume_bytes > 0, fatal > 4) << fatal;
    EXPECT_EQ(opened.resume_sha256, digest_of(std::string_view(text).substr(0, opened.resume_bytes)));
    feed(engine, id, std::string_view(text).substr(opened.resume_bytes), 77);
    ASSERT_EQ(recorder->wait().phase, DocumentPhase::kDone);
    EXPECT_EQ(recorder->outputs().front().sequence, opened.next_sequence);
    EXPECT_EQ(lines(engine.outputs(id, 0, 1 << 20)), expected) << "killed at block " << fatal;
  }
}

TEST(Engine, StoppedAndResumedInTheSameJournal) {
  const TemporaryFolder folder;
  const auto text = some_text(4000, 6);
  DocumentId id;
  std::vector<Output> outputs;
  {
    auto engine = an_engine({.journal = folder / "j", .commit_blocks = 2});
    const auto recorder = std::make_shared<Recorder>();
    id = engine.open(a_request(), recorder).id;
    engine.append(id, text.substr(0, 2500), {});
    recorder->wait_for_outputs(20);
  }
  auto engine = an_engine({.journal = folder / "j"});
  EXPECT_EQ(engine.status(id).phase, DocumentPhase::kOpen);
  EXPECT_EQ(error_of([&] { engine.append(id, "x", {}); }).code, ErrorCode::kDocumentState)
      << "not resumed yet";
  auto other = a_request(id);
  other.owner = 1;
  EXPECT_EQ(error_of([&] { engine.open(other, nullptr); }).code, ErrorCode::kDocumentUnknown);
  other = a_request(id);
  other.plugins[0].options["top"] = 3;
  EXPECT_EQ(error_of([&] { engine.open(other, nullptr); }).code, ErrorCode::kInvalidParams);

  const auto recorder = std::make_shared<Recorder>();
  const auto opened = engine.open(a_request(id), recorder);
  EXPECT_GT(opened.resume_bytes, 0u);
  EXPECT_EQ(error_of([&] { engine.open(a_request(id), nullptr); }).code, ErrorCode::kDocumentState);
  feed(engine, id, std::string_view(text).substr(opened.resume_bytes), 1000);
  recorder->wait();
  EXPECT_EQ(lines(engine.outputs(id, 0, 1 << 20)), read_alone(text));
  EXPECT_EQ(error_of([&] { engine.open(a_request(id), nullptr); }).code, ErrorCode::kDocumentState) << "done";
}

TEST(Engine, ATextThatBeginsWithOtherBytesIsNotResumed) {
  const TemporaryFolder folder;
  const auto text = some_text(4000, 6);
  DocumentId id;
  for (int life = 0; life < 3; ++life) {  // the digest continues over restarts
    auto engine = an_engine({.journal = folder / "j", .commit_blocks = 1});
    const auto recorder = std::make_shared<Recorder>();
    const auto opened = engine.open(life == 0 ? a_request() : a_request(id), recorder);
    id = opened.id;
    EXPECT_EQ(opened.resume_sha256, digest_of(std::string_view(text).substr(0, opened.resume_bytes)));
    engine.append(id, text.substr(opened.resume_bytes, 1000), {});
    recorder->wait_for_outputs(20);
  }
  auto engine = an_engine({.journal = folder / "j"});
  const auto point = engine.resume_point(id);
  ASSERT_GT(point.resume_bytes, 600u);
  EXPECT_EQ(point.resume_sha256, digest_of(std::string_view(text).substr(0, point.resume_bytes)));
  auto request = a_request(id);
  auto other = text;
  other[point.resume_bytes / 2] ^= 1;
  for (const auto& wrong : {other, text.substr(0, point.resume_bytes - 1)}) {
    request.text = wrong;
    const auto error = error_of([&] { engine.open(request, nullptr); });
    EXPECT_EQ(error.code, ErrorCode::kSource);
    EXPECT_THAT(error.what(), AllOf(HasSubstr(id), HasSubstr("resume it with the same bytes")));
  }
  request.text = text;
  const auto recorder = std::make_shared<Recorder>();
  engine.open(request, recorder);
  recorder->wait();
  EXPECT_EQ(lines(engine.outputs(id, 0, 1 << 20)), read_alone(text));
}

/// The model waits in its first block until the gate opens, so that all documents have their blocks ready.
class Gate {
 public:
  void open() { promise_.set_value(); }
  void wait() { future_.wait(); }

 private:
  std::promise<void> promise_;
  std::shared_future<void> future_ = promise_.get_future().share();
};

TEST(Engine, TurnsAreSharedByPriority) {
  Gate gate;
  std::map<std::int32_t, int> blocks;  // by first token, which identifies the documents here
  std::vector<std::int32_t> order;
  auto engine = an_engine({.batch = 1}, [&](std::span<const BlockInput> batch) {
    gate.wait();
    order.push_back(batch[0].tokens[5]);
  });
  // Each byte is a token, whatever precedes it.
  const auto text = [](char c) { return std::string(kTestBlock * 200, c); };
  std::vector<std::shared_ptr<Recorder>> recorders;
  std::vector<DocumentId> ids;
  for (const int priority : {0, 3, -3}) {
    auto request = a_request();
    request.plugins = {{"score", nlohmann::json::object()}};
    request.priority = priority;
    recorders.push_back(std::make_shared<Recorder>());
    ids.push_back(engine.open(request, recorders.back()).id);
  }
  for (int i = 0; i < 3; ++i) {
    engine.append(ids[i], text(static_cast<char>(i + 1)), {});
    engine.end(ids[i]);
  }
  gate.open();
  for (const auto& recorder : recorders) recorder->wait();
  for (int i = 3; i < 153; ++i) ++blocks[order[i]];  // while all three have blocks
  ASSERT_EQ(blocks.size(), 3u);
  std::vector<int> shares;
  for (const auto& [token, count] : blocks) shares.push_back(count);
  // 1 : 1.25^3 : 1.25^-3 of 150 turns is 43 : 85 : 22.
  EXPECT_THAT(shares, ElementsAre(AllOf(Ge(40), Le(47)), AllOf(Ge(81), Le(89)), AllOf(Ge(19), Le(25))));
}

TEST(Engine, CancelTakesEffectWithinABlockAndOthersGoOn) {
  Gate gate;
  std::atomic<int> runs = 0;
  auto engine = an_engine({.batch = 1}, [&](auto) {
    ++runs;
    gate.wait();
  });
  const auto cancelled = std::make_shared<Recorder>(), other = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), cancelled).id;
  engine.append(id, some_text(20000), {});
  engine.end(id);
  while (runs == 0) std::this_thread::yield();
  engine.cancel(id, Error(ErrorCode::kCancelled, "as asked"));
  gate.open();
  const auto status = cancelled->wait();
  EXPECT_EQ(status.phase, DocumentPhase::kFailed);
  EXPECT_EQ(status.error_code, ErrorCode::kCancelled);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(status.tokens, static_cast<std::uint64_t>(kTestBlock)) << "the block that ran counts";
  feed(engine, engine.open(a_request(), other).id, "still here", 100);
  EXPECT_EQ(other->wait().phase, DocumentPhase::kDone);
  EXPECT_FALSE(engine.cancel(id, Error(ErrorCode::kCancelled, "again")));
  EXPECT_FALSE(engine.cancel("0", Error(ErrorCode::kCancelled, "")));
}

TEST(Engine, ACancelledDocumentCanBeResumed) {
  const TemporaryFolder folder;
  auto engine = an_engine({.journal = folder / "j", .commit_blocks = 1});
  const auto text = some_text(3000, 8);
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), first).id;
  engine.append(id, text.substr(0, 2000), {});
  first->wait_for_outputs(5);
  engine.cancel(id, Error(ErrorCode::kCancelled, "as asked"));
  EXPECT_EQ(first->wait().error_code, ErrorCode::kCancelled);
  const auto opened = engine.open(a_request(id), second);
  feed(engine, id, std::string_view(text).substr(opened.resume_bytes), 100);
  EXPECT_EQ(second->wait().phase, DocumentPhase::kDone);
  EXPECT_EQ(lines(engine.outputs(id, 0, 1 << 20)), read_alone(text));
}

TEST(Engine, ADocumentPastItsDeadlineFailsAndCanBeResumed) {
  auto engine = an_engine();
  auto request = a_request();
  request.deadline = 30ms;
  const auto recorder = std::make_shared<Recorder>();
  const auto text = some_text(3000, 9);
  const auto id = engine.open(request, recorder).id;
  engine.append(id, text, {});
  const auto status = recorder->wait();  // no end yet: it waits for input until it times out
  EXPECT_EQ(status.error_code, ErrorCode::kDeadline);
  EXPECT_THAT(status.error, HasSubstr(id));
}

TEST(Engine, AWriterWaitsForRoom) {
  Gate gate;
  auto engine = an_engine({.input_buffer_bytes = 4096}, [&](auto) { gate.wait(); });
  const auto recorder = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), recorder).id;
  std::atomic<int> rooms = 0;
  const auto text = some_text(40000);
  engine.append(id, text, [&] { ++rooms; });
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(rooms, 0) << "the model has not taken what is there";
  gate.open();
  engine.end(id);
  EXPECT_EQ(recorder->wait().bytes, text.size());
  EXPECT_EQ(rooms, 1);
}

TEST(Engine, LimitsNameThemselves) {
  auto engine = an_engine({.max_documents = 6, .max_documents_per_owner = 2, .max_document_bytes = 100});
  const auto recorder = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), recorder).id;
  engine.open(a_request(), nullptr);
  auto error = error_of([&] { engine.open(a_request(), nullptr); });
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_THAT(error.what(), HasSubstr("limits.documents_per_user is 2"));
  auto other = a_request();
  for (const auto owner : {5u, 6u, 7u}) {
    other.owner = owner;
    engine.open(other, nullptr);
  }
  EXPECT_THAT(error_of([&] { engine.open(other, nullptr); }).what(), HasSubstr("limits.documents is 6"))
      << "the last place is for a user who has none";
  other.owner = 8;
  engine.open(other, nullptr);
  other.owner = 9;
  EXPECT_THAT(error_of([&] { engine.open(other, nullptr); }).what(), HasSubstr("limits.documents is 6"));
  EXPECT_EQ(engine.list({.owner = 5}).size(), 1u);
  EXPECT_EQ(engine.list({}).size(), 6u) << "what was refused leaves nothing behind";

  error = error_of([&] { engine.append(id, std::string(101, 'x'), {}); });
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_THAT(error.what(), HasSubstr("limits.document_bytes is 100"));
  EXPECT_EQ(recorder->wait().error_code, ErrorCode::kLimit);
}

TEST(Engine, RefusesWhatItCannotDo) {
  auto engine = an_engine();
  auto request = a_request();
  request.plugins = {{"sc0re", nlohmann::json::object()}};
  auto error = error_of([&] { engine.open(request, nullptr); });
  EXPECT_EQ(error.code, ErrorCode::kPluginUnknown);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("sc0re"), HasSubstr("anomaly, embed, logprobs, score, summarize")));
  request.plugins = {{"score", {{"granularitee", "line"}}}};
  error = error_of([&] { engine.open(request, nullptr); });
  EXPECT_EQ(error.code, ErrorCode::kInvalidParams);
  EXPECT_THAT(error.what(), HasSubstr("granularitee"));
  request.plugins = {};
  EXPECT_EQ(error_of([&] { engine.open(request, nullptr); }).code, ErrorCode::kInvalidParams);
  request.plugins = {{"score", nlohmann::json::object()}, {"score", nlohmann::json::object()}};
  EXPECT_EQ(error_of([&] { engine.open(request, nullptr); }).code, ErrorCode::kInvalidParams);
  EXPECT_EQ(error_of([&] { engine.status("nobody"); }).code, ErrorCode::kDocumentUnknown);
  EXPECT_EQ(error_of([&] { engine.open(a_request("nobody"), nullptr); }).code, ErrorCode::kDocumentUnknown);
  const auto id = engine.open(a_request(), nullptr).id;
  engine.end(id);
  EXPECT_EQ(error_of([&] { engine.append(id, "x", {}); }).code, ErrorCode::kDocumentState);
  EXPECT_EQ(error_of([&] { engine.end(id); }).code, ErrorCode::kDocumentState);
}

TEST(Engine, AModelThatFailsFailsItsDocumentsOnly) {
  std::atomic<bool> broken = true;
  auto engine = an_engine({}, [&](auto) {
    if (broken) throw std::runtime_error("out of order");
  });
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  feed(engine, engine.open(a_request(), first).id, "hello", 10);
  EXPECT_EQ(first->wait().error_code, ErrorCode::kModel);
  EXPECT_THAT(first->wait().error, HasSubstr("out of order"));
  broken = false;
  feed(engine, engine.open(a_request(), second).id, "hello", 10);
  EXPECT_EQ(second->wait().phase, DocumentPhase::kDone);
}

TEST(Engine, AttachReplaysWhatWasAndGoesOnLive) {
  auto engine = an_engine({.commit_blocks = 1});
  const auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>(),
             third = std::make_shared<Recorder>();
  const auto text = some_text(3000, 3);
  const auto id = engine.open(a_request(), first).id;
  engine.append(id, text.substr(0, 1500), {});
  first->wait_for_outputs(10);
  engine.attach(id, 4, second);
  second->wait_for_outputs(1);
  feed(engine, id, std::string_view(text).substr(1500), 100);
  EXPECT_EQ(first->wait().error_code, ErrorCode::kDocumentState) << "the one before is told";
  EXPECT_EQ(second->wait().phase, DocumentPhase::kDone);
  const auto expected = read_alone(text);
  EXPECT_EQ(lines(second->outputs()), std::vector(expected.begin() + 4, expected.end()));
  engine.attach(id, 0, third);
  EXPECT_EQ(third->wait().phase, DocumentPhase::kDone);
  EXPECT_EQ(lines(third->outputs()), expected);
}

TEST(Engine, DrainsWhatIsOpenAndTakesNoMore) {
  auto engine = an_engine();
  const auto done = std::make_shared<Recorder>(), waits = std::make_shared<Recorder>();
  feed(engine, engine.open(a_request(), done).id, some_text(5000), 5000);
  EXPECT_TRUE(engine.drain(60s));
  EXPECT_EQ(done->wait().phase, DocumentPhase::kDone);
  EXPECT_EQ(error_of([&] { engine.open(a_request(), waits); }).code, ErrorCode::kShuttingDown);

  auto other = an_engine();
  other.open(a_request(), waits);
  EXPECT_FALSE(other.drain(20ms)) << "nobody ends that document";
}

TEST(Engine, AModelAndAVocabularyThatDoNotBelongTogetherAreRefused) {
  class Small final : public BlockModel {
   public:
    Small() { info_.num_tokens = 100; }
    const ModelInfo& info() const override { return info_; }
    std::vector<BlockOutput> run(std::span<const BlockInput>) override { return {}; }
    ModelStatePtr restore(std::span<const std::byte>) const override { return {}; }

   private:
    ModelInfo info_;
  };
  const auto error = error_of([&] {
    Engine engine({std::make_shared<Small>(), vocabulary(), registry()}, EngineOptions{});
  });
  EXPECT_EQ(error.code, ErrorCode::kModel);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("100"), HasSubstr("8192")));
}

}  // namespace
}  // namespace unroll
