// Documents of two models in one engine.
#include "engine/engine_core.h"
#include "tests/engine/testing.h"

namespace unroll {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;

class TwoModels : public testing::Test {
 protected:
  using RevisionPtr = std::shared_ptr<const Revision>;

  /// Counts its launches by their number of blocks.
  RevisionPtr make(const std::string& name, std::uint64_t seed, std::int64_t parameters) {
    auto model = std::make_shared<HashModel>(
        [this, name](std::span<const BlockInput> blocks) {
          launches_[name].push_back(blocks.size());
          order_ += name;
        },
        sizeof seed, seed);
    model->change_info().checkpoint = "checkpoint of " + std::to_string(seed);
    model->change_info().parameters = parameters;
    return std::make_shared<const Revision>(Revision{std::move(model), vocabulary(), registry(), name});
  }
  void start(EngineOptions options) {
    core_.reset();
    core_ = std::make_unique<EngineCore>(*small_, std::move(options));
  }
  struct Document {
    DocumentId id;
    std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  };
  Document open(const RevisionPtr& revision, std::uint32_t owner = 1000,
                std::optional<DocumentId> resume = std::nullopt) {
    auto request = a_request(std::move(resume));
    request.revision = revision;
    request.owner = owner;
    Document document;
    document.id = core_->open(request, document.recorder).id;
    return document;
  }
  void send(const Document& document, const std::string& text, bool end = true) {
    core_->append(document.id, text, {});
    if (end) core_->end(document.id);
  }
  void run_until_idle() {
    while (core_->has_work()) core_->round();
  }
  std::uint64_t blocks_of(const Document& document) const {
    return core_->status(document.id).tokens / kTestBlock;
  }

  std::map<std::string, std::vector<std::size_t>> launches_;
  std::string order_;
  RevisionPtr small_ = make("s", 1, 1'000), large_ = make("L", 2, 15'000);
  std::unique_ptr<EngineCore> core_;
};

TEST_F(TwoModels, EachGivesWhatItGivesAlone) {
  constexpr int kDocuments = 20;
  std::map<std::string, std::vector<std::vector<std::string>>> alone;
  for (const auto& revision : {small_, large_}) {
    for (int i = 0; i < kDocuments; ++i) {
      start({});
      const auto document = open(revision);
      send(document, some_text(1500 + 100 * i, i));
      run_until_idle();
      alone[revision->name].push_back(lines(document.recorder->outputs()));
    }
  }
  ASSERT_NE(alone["s"], alone["L"]);
  start({.batch = 4});
  std::vector<std::pair<std::string, Document>> documents;
  for (int i = 0; i < kDocuments; ++i) {
    for (const auto& revision : {small_, large_}) {
      documents.emplace_back(revision->name, open(revision, i % 3));
      send(documents.back().second, some_text(1500 + 100 * i, i));
    }
  }
  run_until_idle();
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto& [name, document] = documents[i];
    EXPECT_EQ(document.recorder->wait().phase, DocumentPhase::kDone);
    EXPECT_EQ(core_->status(document.id).model, name);
    EXPECT_EQ(lines(document.recorder->outputs()), alone[name][i / 2]) << name << i;
  }
}

TEST_F(TwoModels, ALaunchIsFullOfOneModelsDocuments) {
  start({.batch = 4});
  const std::string text(kTestBlock * 600, '\x01');
  for (int i = 0; i < 8; ++i) send(open(i % 2 == 0 ? small_ : large_), text, false);
  for (int i = 0; i < 60; ++i) core_->round();
  for (const auto* name : {"s", "L"}) {
    ASSERT_GT(launches_[name].size(), 1u);
    EXPECT_THAT(launches_[name], Each(4u)) << name;
  }
}

TEST_F(TwoModels, OwnersShareTheTimeAndNotTheBlocks) {
  start({.batch = 1});
  const std::string text(kTestBlock * 2000, '\x01');
  const auto small = open(small_, 1), large = open(large_, 2);
  send(small, text, false);
  send(large, text, false);
  for (int i = 0; i < 16 * 20; ++i) core_->round();  // the large one's blocks are 15 times the work
  EXPECT_NEAR(static_cast<double>(blocks_of(large)), 20, 1);
  EXPECT_NEAR(static_cast<double>(blocks_of(small)), 300, 15);
  // It never waits for more than one of the other's blocks.
  EXPECT_EQ(order_.find("LL"), std::string::npos);
}

TEST_F(TwoModels, AnOwnersDocumentsShareTheTimeToo) {
  start({.batch = 2});
  const std::string text(kTestBlock * 2000, '\x01');
  std::vector<Document> small, large;
  for (int i = 0; i < 4; ++i) {
    small.push_back(open(small_));
    large.push_back(open(large_));
    send(small.back(), text, false);
    send(large.back(), text, false);
  }
  while (blocks_of(large.front()) < 10) core_->round();
  for (const auto& document : small) EXPECT_NEAR(static_cast<double>(blocks_of(document)), 150, 16);
  // One that comes now begins with the others.
  const auto late = open(small_);
  send(late, text, false);
  const auto before = blocks_of(small.front());
  while (blocks_of(large.front()) < 20) core_->round();
  EXPECT_NEAR(static_cast<double>(blocks_of(late)), static_cast<double>(blocks_of(small.front()) - before),
              16);
}

TEST_F(TwoModels, AnOwnersLimitsAreOfAllModelsTogether) {
  start({.max_documents_per_owner = 2});
  open(small_);
  open(large_);
  EXPECT_THAT(error_of([&] { open(large_); }).what(), HasSubstr("limits.documents_per_user"));
  EXPECT_THAT(error_of([&] { open(small_); }).what(), HasSubstr("limits.documents_per_user"));
}

TEST_F(TwoModels, AModelIsFreedWithItsLastDocumentAndNotBefore) {
  start({});
  const std::weak_ptr<const Revision> watched = large_;
  const auto document = open(large_);
  large_.reset();
  run_until_idle();
  EXPECT_FALSE(watched.expired());
  send(document, some_text(3000));
  run_until_idle();
  EXPECT_TRUE(watched.expired());
}

TEST_F(TwoModels, WhatEachHasDoneIsCounted) {
  start({});
  const auto small = open(small_), large = open(large_);
  send(large, some_text(3000));
  run_until_idle();
  const auto stats = core_->stats();
  EXPECT_EQ(stats.models.at("s").open_documents, 1u);
  EXPECT_EQ(stats.models.at("s").tokens, 0u);
  EXPECT_EQ(stats.models.at("L").open_documents, 0u);
  EXPECT_EQ(stats.models.at("L").tokens, stats.tokens);
  EXPECT_GT(stats.tokens, 100u);
}

TEST_F(TwoModels, ADocumentGoesOnWithItsOwnModelAlone) {
  const TemporaryFolder folder;
  const auto text = some_text(6000);
  start({});
  const auto whole = open(large_);
  send(whole, text);
  run_until_idle();
  const auto expected = lines(whole.recorder->outputs());

  const EngineOptions options{.journal = folder / "j", .commit_blocks = 3};
  start(options);
  const auto begun = open(large_);
  send(begun, text.substr(0, 4000), false);
  run_until_idle();
  auto heard = lines(begun.recorder->outputs());
  ASSERT_THAT(heard.size(), Ge(5u));
  start(options);
  EXPECT_EQ(core_->status(begun.id).model, "L");

  const auto refused = error_of([&] { open(small_, 1000, begun.id); });
  EXPECT_EQ(refused.code, ErrorCode::kModel);
  EXPECT_THAT(refused.what(), testing::AllOf(HasSubstr(begun.id), HasSubstr("'L'"), HasSubstr("'s'")));
  const auto exchanged = error_of([&] { open(make("L", 3, 15'000), 1000, begun.id); });
  EXPECT_EQ(exchanged.code, ErrorCode::kModel);
  EXPECT_THAT(exchanged.what(), HasSubstr("another checkpoint than that of model 'L'"));

  const auto point = core_->resume_point(begun.id);
  const auto resumed = open(large_, 1000, begun.id);
  core_->append(resumed.id, text.substr(point.resume_bytes), {});
  core_->end(resumed.id);
  run_until_idle();
  EXPECT_EQ(resumed.recorder->wait().phase, DocumentPhase::kDone);
  for (const auto& line : lines(resumed.recorder->outputs())) heard.push_back(line);
  EXPECT_EQ(heard, expected);
}

}  // namespace
}  // namespace unroll
