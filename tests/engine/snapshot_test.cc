// Snapshots: a document that goes on from one is read as if the documents before it were its beginning.
#include <random>

#include "engine/engine_core.h"
#include "tests/engine/testing.h"

namespace unroll {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

DocumentRequest tokens_request(bool with_hidden_states = false) {
  DocumentRequest request;
  request.owner = 1000;
  request.plugins = {
      {"score", {{"granularity", "token"}}}, {"anomaly", json::object()}, {"words", json::object()}};
  if (with_hidden_states) request.plugins.push_back({"embed", {{"segment_tokens", 1}}});
  return request;
}

class Snapshots : public testing::Test {
 protected:
  void start(std::uint64_t seed = 0, std::size_t state_bytes = 64) {
    core_.reset();
    model_ = std::make_shared<HashModel>(
        [this](std::span<const BlockInput> blocks) {
          for (const auto& block : blocks) asked_.push_back({block.first, block.may_come_again});
        },
        state_bytes, seed);
    model_->change_info().checkpoint = "checkpoint " + std::to_string(seed);
    model_->set_state_hook([this](const char* function) { restored_ += std::string(function) == "restore"; });
    options_.now = [this] { return now_; };
    core_ = std::make_unique<EngineCore>(Revision{model_, vocabulary(), registry(), "test"}, options_);
  }
  void run() {
    while (core_->has_work()) core_->round();
    core_->commit_all();
  }
  void pass(std::chrono::seconds time) {
    now_ += time;
    for (int i = 0; i < 2; ++i, now_ += time) core_->round();
  }
  struct Opened {
    DocumentId id;
    std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  };
  Opened open(const DocumentRequest& request) {
    Opened opened;
    opened.id = core_->open(request, opened.recorder).id;
    return opened;
  }
  /// In pieces of random sizes.
  void append(const Opened& document, std::string_view text) {
    while (!text.empty()) {
      const auto piece = text.substr(0, 1 + random_() % 300);
      core_->append(document.id, std::string(piece), {});
      if (random_() % 2 == 0) run();
      text.remove_prefix(piece.size());
    }
  }
  std::vector<Output> read(std::string_view text, const DocumentRequest& request) {
    const auto document = open(request);
    append(document, text);
    core_->end(document.id);
    run();
    const auto status = core_->status(document.id);
    EXPECT_EQ(status.phase, DocumentPhase::kDone) << status.error;
    EXPECT_EQ(status.bytes, text.size());
    return document.recorder->outputs();
  }
  /// Of an open document, or of one's end.
  void make(std::string_view text, const std::string& name, DocumentRequest request = tokens_request()) {
    if (random_() % 2 == 0) {
      request.snapshot = SnapshotRequest{name, {}};
      read(text, request);
      return;
    }
    const auto document = open(request);
    append(document, text);
    SnapshotInfo made;
    core_->snapshot(document.id, {name, {}}, [&](std::exception_ptr failure, const SnapshotInfo& info) {
      EXPECT_EQ(failure, nullptr);
      made = info;
    });
    append(document, "other bytes");
    run();
    EXPECT_EQ(made.name, name);
    core_->cancel(document.id, Error(ErrorCode::kCancelled, "no longer wanted"));
    run();
  }
  static DocumentRequest after(const std::string& name, DocumentRequest request = tokens_request()) {
    request.from = name;
    return request;
  }
  std::string random_text(std::size_t most) {
    auto text = some_text(random_() % most, random_());
    for (auto& byte : text) {
      if (random_() % 10 == 0) byte = static_cast<char>(random_());
      if (random_() % 25 == 0) byte = '\n';
    }
    return text;
  }

  OpenDocument::TimePoint now_{std::chrono::hours(1)};
  EngineOptions options_;
  std::mt19937 random_{28};
  int restored_ = 0;
  struct Asked {
    std::size_t first;
    bool may_come_again;
  };
  std::vector<Asked> asked_;  ///< Of the model, for each block.
  std::shared_ptr<HashModel> model_;
  std::unique_ptr<EngineCore> core_;
};

/// What the outputs say of each token, each line and each word, from byte `from` on; offsets count from
/// there.
struct Said {
  std::vector<json> tokens, vectors, lines, words;

  Said(const std::vector<Output>& outputs, std::uint64_t from) {
    for (const auto& output : outputs) {
      const auto said = json::parse(output.json);
      if (said.value("type", "") == "tokens") {
        for (std::size_t i = 0; i < said["start"].size(); ++i)
          add(tokens, {said["start"][i], said["end"][i], said["nats"][i]}, from);
      } else if (said.value("type", "") == "words") {
        for (const auto& word : said["words"])
          add(words, {word["start"], word["end"], word["nats"], word["rank"]}, from);
      } else if (said.value("type", "") == "segment") {
        add(vectors, {said["start"], said["end"], said["vector"]}, from);
      } else if (said.contains("line") && said["end"].get<std::uint64_t>() + 1 > from) {
        add(lines, {said["start"], said["end"], said["score"]}, from, true);
      }
    }
  }
  static void add(std::vector<json>& list, json what, std::uint64_t from, bool may_be_empty = false) {
    const auto shifted = [&](const json& place) { return std::max(place.get<std::uint64_t>(), from) - from; };
    if (what[1].get<std::uint64_t>() <= from && from > 0 && !may_be_empty) return;
    what[0] = shifted(what[0]);
    what[1] = shifted(what[1]);
    list.push_back(std::move(what));
  }
};

void expect_same(const std::vector<Output>& whole, std::uint64_t from, const std::vector<Output>& after) {
  Said expected(whole, from), found(after, 0);
  EXPECT_EQ(found.tokens, expected.tokens);
  // A line that ends where the other document does is that one's.
  if (expected.lines.size() > found.lines.size()) expected.lines.erase(expected.lines.begin());
  EXPECT_EQ(found.lines, expected.lines);
  // A word that began in the other document has another beginning here.
  for (auto* words : {&expected.words, &found.words}) {
    if (!words->empty() && words->front()[0] == 0) words->erase(words->begin());
  }
  EXPECT_EQ(found.words, expected.words);
  ASSERT_EQ(found.vectors.size(), expected.vectors.size());
  // The first one's words are its own document's.
  if (!found.vectors.empty()) found.vectors.erase(found.vectors.begin());
  if (!expected.vectors.empty()) expected.vectors.erase(expected.vectors.begin());
  EXPECT_EQ(found.vectors, expected.vectors);
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].sequence, i);
}

TEST_F(Snapshots, WhatFollowsIsReadAsInOneDocument) {
  start();
  for (int i = 0; i < 200; ++i) {
    const auto text = random_text(500);
    const auto request = tokens_request(i % 10 == 0);
    const auto at = random_() % (text.size() + 1);
    SCOPED_TRACE("text " + std::to_string(i) + ", cut at byte " + std::to_string(at) + " of " +
                 std::to_string(text.size()));
    const auto whole = read(text, request);
    make(text.substr(0, at), "a", request);
    const auto known = core_->snapshots(1000);
    ASSERT_THAT(known, SizeIs(1));
    EXPECT_EQ(known[0].bytes, at);
    Sha256 digest;
    digest.add(text.substr(0, at));
    EXPECT_EQ(known[0].sha256, digest.digest());
    expect_same(whole, at, read(text.substr(at), after("a", request)));
    if (HasFailure()) return;
  }
}

TEST_F(Snapshots, OneCanGoOnFromAnother) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  start();
  for (int i = 0; i < 40; ++i) {
    const auto text = random_text(600);
    const auto one = random_() % (text.size() + 1), two = one + random_() % (text.size() - one + 1);
    SCOPED_TRACE("text " + std::to_string(i) + ", cut at bytes " + std::to_string(one) + " and " +
                 std::to_string(two) + " of " + std::to_string(text.size()));
    const auto whole = read(text, tokens_request());
    make(text.substr(0, one), "a");
    make(text.substr(one, two - one), "b", after("a"));
    core_->remove_snapshot(1000, "a");
    expect_same(whole, two, read(text.substr(two), after("b")));
    if (HasFailure()) return;
  }
}

TEST_F(Snapshots, ADocumentAfterOneIsEvictedAndResumedWithoutATrace) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  options_.commit_blocks = 1;
  for (int i = 0; i < 15; ++i) {
    SCOPED_TRACE(i);
    options_.max_memory_bytes_per_owner = 4ull << 30;
    start();
    const auto before = random_text(300), text = random_text(2500);
    make(before, "a");
    const auto expected = lines(read(text, after("a")));
    options_.max_memory_bytes_per_owner = 200'000;  // a few documents
    start();
    const auto document = open(after("a"));
    core_->remove_snapshot(1000, "a");
    const auto cut = random_() % (text.size() + 1);
    append(document, text.substr(0, cut));
    std::vector<Opened> others;
    for (int other = 0; other < 5; ++other) {
      others.push_back(open(tokens_request()));
      append(others.back(), some_text(700));
    }
    run();
    const auto delivered = document.recorder->outputs();
    start();  // without a word to the one before
    auto again = after("a");
    again.resume = document.id;
    const auto recorder = std::make_shared<Recorder>();
    const auto resumed = core_->open(again, recorder);
    EXPECT_LE(resumed.resume_bytes, cut);
    EXPECT_EQ(resumed.next_sequence, delivered.size());
    core_->append(document.id, text.substr(resumed.resume_bytes), {});
    core_->end(document.id);
    run();
    EXPECT_EQ(core_->status(document.id).phase, DocumentPhase::kDone) << core_->status(document.id).error;
    EXPECT_EQ(lines(core_->outputs(document.id, 0, 100'000)), expected);
    if (HasFailure()) return;
  }
}

TEST_F(Snapshots, ManyDocumentsShareOneState) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  start();
  make(some_text(5000), "a");
  const auto before = core_->stats().memory_bytes;
  restored_ = 0;
  std::vector<Opened> documents;
  for (int i = 0; i < 100; ++i) documents.push_back(open(after("a")));
  EXPECT_EQ(restored_, 1);
  run();
  const auto each = (core_->stats().memory_bytes - before) / 100;
  model_.reset();
  EXPECT_LT(each, 16 * 1024 + 40'000) << "the bookkeeping, and the plugins' states";
  for (const auto& document : documents) core_->end(document.id);
  run();
  EXPECT_EQ(core_->status(documents[99].id).phase, DocumentPhase::kDone);
  pass(std::chrono::minutes(3));
  EXPECT_EQ(core_->stats().memory_bytes, 0u) << "nothing stays charged";
}

TEST_F(Snapshots, TheLatestStateStaysInMemoryForAWhileIfThereIsRoom) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  start();
  make(some_text(5000), "a");
  restored_ = 0;
  for (int i = 0; i < 3; ++i) read("one after another\n", after("a"));
  EXPECT_EQ(restored_, 1);
  EXPECT_GT(core_->stats().memory_bytes, 0u) << "it is charged";
  pass(std::chrono::minutes(3));
  EXPECT_EQ(core_->stats().memory_bytes, 0u);
  read("much later\n", after("a"));
  EXPECT_EQ(restored_, 2);

  // Open documents go first.
  options_.max_memory_bytes_per_owner = 1'000'000;
  start(0, 200'000);
  make(some_text(5000), "b");
  read("one\n", after("b"));
  restored_ = 0;
  read("after another\n", after("b"));
  EXPECT_EQ(restored_, 0);
  std::vector<Opened> documents;
  for (int i = 0; i < 4; ++i) documents.push_back(open(tokens_request()));
  for (const auto& document : documents) append(document, some_text(1000));
  run();
  for (const auto& document : documents) core_->end(document.id);
  run();
  restored_ = 0;
  read("much later\n", after("b"));
  EXPECT_EQ(restored_, 1);
}

TEST_F(Snapshots, OnlyItsOwnerCanUseItAndOnlyWithItsCheckpoint) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  start();
  make("to be read on\n", "a");
  auto others = after("a");
  others.owner = 7;
  const auto unseen = error_of([&] { open(others); });
  EXPECT_EQ(unseen.code, ErrorCode::kSnapshotUnknown);
  EXPECT_THAT(core_->snapshots(7), IsEmpty());
  EXPECT_EQ(error_of([&] { core_->remove_snapshot(7, "a"); }).code, ErrorCode::kSnapshotUnknown);
  EXPECT_EQ(error_of([&] { open(after("b")); }).code, ErrorCode::kSnapshotUnknown);

  auto otherwise = after("a");
  otherwise.plugins[0].options = {{"granularity", "line"}};
  EXPECT_THAT(error_of([&] { open(otherwise); }).what(), HasSubstr("plugin score with other options"));

  start(1);
  const auto refused = error_of([&] { open(after("a")); });
  EXPECT_EQ(refused.code, ErrorCode::kModel);
  EXPECT_THAT(refused.what(), testing::AllOf(HasSubstr("checkpoint 0"), HasSubstr("checkpoint 1")));
}

TEST_F(Snapshots, APluginThatItLacksBeginsWithTheDocument) {
  start();
  DocumentRequest without;
  without.owner = 1000;
  make("one line\nand the begin of ano", "a", [&] {
    without.snapshot = SnapshotRequest{"a", {}};
    return without;
  }());
  const auto outputs = read("ther\nlast\n", after("a"));
  std::vector<int> starts;
  for (const auto& output : outputs) {
    const auto said = json::parse(output.json);
    if (said.contains("line")) starts.push_back(said["start"]);
  }
  EXPECT_THAT(starts, ElementsAre(0, 5));
}

TEST_F(Snapshots, ItIsChargedToItsOwnerUntilNothingRefersToIt) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  start();
  make(some_text(2000), "a");
  make(some_text(1000), "b");
  const auto kept = core_->snapshots(1000)[0].kept_bytes + core_->snapshots(1000)[1].kept_bytes;
  EXPECT_GT(kept, 1000u);
  const auto document = open(after("a"));
  run();
  const auto charged = [&] { return core_->stats().journal_largest_owner_bytes; };
  const auto with = charged();
  core_->remove_snapshot(1000, "a");
  EXPECT_THAT(core_->snapshots(1000), SizeIs(1));
  EXPECT_EQ(charged(), with) << "a document goes on from it";
  core_->cancel(document.id, Error(ErrorCode::kCancelled, "no longer wanted"));
  run();
  core_->remove(document.id);
  const auto without = charged();
  core_->remove_snapshot(1000, "b");
  EXPECT_EQ(charged() + kept, without);
}

TEST_F(Snapshots, ADocumentThatIsDoneDoesNotKeepIt) {
  const TemporaryFolder folder;
  options_.journal = folder / "j";
  start();
  make(some_text(2000), "a");
  read("one\n", after("a"));
  const auto kept = core_->snapshots(1000)[0].kept_bytes;
  const auto with = core_->stats().journal_largest_owner_bytes;
  core_->remove_snapshot(1000, "a");
  EXPECT_EQ(core_->stats().journal_largest_owner_bytes + kept, with);
}

TEST_F(Snapshots, ItsNameCanBeGivenToAnotherAndItExpires) {
  start();
  make("one", "a");
  make("three", "a");
  EXPECT_EQ(core_->snapshots(1000)[0].bytes, 5u);
  EXPECT_THAT(core_->snapshots(1000), SizeIs(1));
  auto request = tokens_request();
  request.snapshot = SnapshotRequest{"a", std::chrono::seconds(0)};
  read("gone", request);
  EXPECT_THAT(core_->snapshots(1000), IsEmpty());
  EXPECT_EQ(error_of([&] { open(after("a")); }).code, ErrorCode::kSnapshotUnknown);
}

TEST_F(Snapshots, AnEndedDocumentHasNoneAndAFailedOneSaysSo) {
  start();
  const auto document = open(tokens_request());
  core_->end(document.id);
  EXPECT_THAT(error_of([&] {
                core_->snapshot(document.id, {"a", {}}, {});
              }).what(),
              HasSubstr("open it with 'snapshot'"));
  run();
  const auto other = open(tokens_request());
  run();
  core_->append(other.id, "bytes", {});
  std::string said;
  core_->snapshot(other.id, {"a", {}}, [&](std::exception_ptr failure, const SnapshotInfo&) {
    said = error_of([&] { std::rethrow_exception(failure); }).what();
  });
  core_->cancel(other.id, Error(ErrorCode::kCancelled, "no longer wanted"));
  core_->round();
  EXPECT_THAT(said, testing::AnyOf(HasSubstr("ended before the snapshot was made"), IsEmpty()));
  EXPECT_EQ(error_of([&] { core_->snapshot("nonesuch", {"a", {}}, {}); }).code, ErrorCode::kDocumentUnknown);
}

/// The tokens before a document in its first block are computed once for all documents after a snapshot, and
/// outputs are wanted only of those that a plugin reads.
TEST_F(Snapshots, TheModelIsToldWhatIsWantedOfABlock) {
  start();
  const auto before = some_text(kTestBlock * 10), text = some_text(kTestBlock * 10, 2);
  DocumentRequest none;
  none.owner = 1000;
  none.snapshot = SnapshotRequest{"without plugins", {}};
  read(before, none);
  auto with = tokens_request();
  with.snapshot = SnapshotRequest{"with", {}};
  asked_.clear();
  read(before, with);
  for (const auto& asked : asked_) EXPECT_FALSE(asked.may_come_again);
  const auto first_of = [&](const std::string& name) {
    asked_.clear();
    read(text, after(name));
    EXPECT_GT(asked_.size(), 2u);
    EXPECT_TRUE(asked_.front().may_come_again);
    // The document before may end in the second block: its last bytes are tokens only now.
    for (std::size_t i = 2; i < asked_.size(); ++i) {
      EXPECT_FALSE(asked_[i].may_come_again) << i;
      EXPECT_EQ(asked_[i].first, 0u) << i;
    }
    return asked_.front().first;
  };
  EXPECT_EQ(first_of("with"), 0u) << "its plugins have not read the last block";
  const auto own = first_of("without plugins");
  EXPECT_GT(own, 0u);
  EXPECT_LT(own, static_cast<std::size_t>(kTestBlock));
}

}  // namespace
}  // namespace unroll
