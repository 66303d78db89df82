// Loads another model while documents are being read.
#include <future>
#include <thread>

#include "tests/engine/testing.h"

namespace unroll {
namespace {

using testing::HasSubstr;

Revision revision(std::uint64_t seed, HashModel::Watch watch = {}) {
  return {std::make_shared<HashModel>(std::move(watch), sizeof seed, seed), vocabulary(), registry()};
}

std::vector<Output> read_alone(std::uint64_t seed, const std::string& text) {
  Engine engine(revision(seed), {});
  const auto recorder = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), recorder).id;
  engine.append(id, text, {});
  engine.end(id);
  recorder->wait();
  return recorder->outputs();
}

void expect_equal(const std::vector<Output>& is, const std::vector<Output>& should) {
  ASSERT_EQ(is.size(), should.size());
  for (std::size_t i = 0; i < is.size(); ++i) EXPECT_EQ(is[i].json, should[i].json);
}

TEST(Reload, OpenDocumentsEndOnTheOldModelAndNewOnesBeginOnTheNewOne) {
  const auto text = some_text(20'000);
  const auto half = text.size() / 2;
  Engine engine(revision(1), {.batch = 4, .commit_blocks = 2});
  std::vector<std::pair<DocumentId, std::shared_ptr<Recorder>>> old, fresh;
  for (int i = 0; i < 10; ++i) {
    const auto recorder = std::make_shared<Recorder>();
    old.emplace_back(engine.open(a_request(), recorder).id, recorder);
    engine.append(old.back().first, text.substr(0, half), {});
  }
  engine.reload(revision(2));
  for (int i = 0; i < 10; ++i) {
    const auto recorder = std::make_shared<Recorder>();
    fresh.emplace_back(engine.open(a_request(), recorder).id, recorder);
    engine.append(fresh.back().first, text, {});
    engine.end(fresh.back().first);
  }
  EXPECT_EQ(engine.stats().revisions, 2u);
  for (const auto& [id, recorder] : old) {
    engine.append(id, text.substr(half), {});
    engine.end(id);
  }
  const auto with_old = read_alone(1, text), with_new = read_alone(2, text);
  ASSERT_NE(with_old.back().json, with_new.back().json);
  for (const auto& [id, recorder] : old) {
    EXPECT_EQ(recorder->wait().phase, DocumentPhase::kDone);
    expect_equal(recorder->outputs(), with_old);
  }
  for (const auto& [id, recorder] : fresh) {
    EXPECT_EQ(recorder->wait().phase, DocumentPhase::kDone);
    expect_equal(recorder->outputs(), with_new);
  }
  EXPECT_EQ(engine.stats().revisions, 1u);
  EXPECT_EQ(engine.stats().reloads, 1u);
}

TEST(Reload, OneThatIsEvictedComesBackToItsOwnModel) {
  const TemporaryFolder folder;
  const auto text = some_text(4'000);
  const auto half = text.size() / 2;
  EngineOptions options{.journal = folder / "j", .commit_blocks = 1};
  options.max_memory_bytes = 100'000;  // each of four documents takes 16,000 and its state
  Engine engine({std::make_shared<HashModel>(HashModel::Watch(), 30'000, 1), vocabulary(), registry()},
                options);
  std::vector<std::pair<DocumentId, std::shared_ptr<Recorder>>> documents;
  for (int i = 0; i < 4; ++i) {
    const auto recorder = std::make_shared<Recorder>();
    documents.emplace_back(engine.open(a_request(), recorder).id, recorder);
    engine.append(documents.back().first, text.substr(0, half), {});
  }
  engine.reload(revision(2));
  for (const auto& [id, recorder] : documents) {
    engine.append(id, text.substr(half), {});
    engine.end(id);
  }
  const auto expected = read_alone(1, text);
  for (const auto& [id, recorder] : documents) {
    EXPECT_EQ(recorder->wait().phase, DocumentPhase::kDone);
    expect_equal(recorder->outputs(), expected);
  }
  EXPECT_GT(engine.stats().evictions, 0u);
}

TEST(Reload, TheOldModelIsLetGoWithItsLastDocument) {
  Engine engine(revision(1), {});
  const std::weak_ptr<BlockModel> old = engine.revision()->model;
  const auto recorder = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), recorder).id;
  engine.reload(revision(2));
  EXPECT_FALSE(old.expired());
  engine.end(id);
  recorder->wait();
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!old.expired() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(old.expired());
}

TEST(Reload, AVocabularyThatIsNotTheModelsIsRefusedAndNothingChanges) {
  struct Small : BlockModel {
    ModelInfo small = [] {
      ModelInfo info;
      info.num_tokens = 10;
      return info;
    }();
    const ModelInfo& info() const override { return small; }
    std::vector<BlockOutput> run(std::span<const BlockInput>) override { return {}; }
    ModelStatePtr restore(std::span<const std::byte>) const override { return nullptr; }
  };
  Engine engine(revision(1), {});
  const auto before = engine.revision()->model;
  try {
    engine.reload({std::make_shared<Small>(), vocabulary(), registry()});
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::kModel);
    EXPECT_THAT(error.what(), HasSubstr("10 tokens"));
  }
  EXPECT_EQ(engine.revision()->model, before);
  EXPECT_EQ(engine.stats().reloads, 0u);
}

TEST(Reload, ARoundThatDoesNotEndIsSeenFromOutside) {
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  Engine engine(revision(1, [opened](auto) { opened.wait(); }), {});
  EXPECT_EQ(engine.stats().round_seconds, 0);
  const auto recorder = std::make_shared<Recorder>();
  const auto id = engine.open(a_request(), recorder).id;
  engine.append(id, some_text(2000), {});
  engine.end(id);
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (engine.stats().round_seconds < 0.05 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(5ms);
  EXPECT_GE(engine.stats().round_seconds, 0.05);
  gate.set_value();
  recorder->wait();
  const auto then = std::chrono::steady_clock::now() + 10s;
  while (engine.stats().round_seconds > 0 && std::chrono::steady_clock::now() < then)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(engine.stats().round_seconds, 0);
}

}  // namespace
}  // namespace unroll
