// The engine's core: limits on memory, buffers and the journal, and what fails there.
#include <map>

#include "tests/engine/core_case.h"

namespace unroll {
namespace {

using ::testing::HasSubstr;

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

TEST_F(Core, StatesAreEvictedUnderTheMemoryLimitAndComeBack) {
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

/// The plugin `anomaly` does not answer while it is silent.
class SilentPlugins final : public PluginRegistry {
 public:
  SilentPlugins() { load_directory(default_plugin_directory()); }
  bool silent = false;
  std::unique_ptr<PluginInstance> create(std::string_view name, std::string_view options,
                                         EmitFunction emit) const override {
    auto instance = PluginRegistry::create(name, options, std::move(emit));
    if (name == "anomaly") instance = std::make_unique<Instance>(silent, std::move(instance));
    return instance;
  }

 private:
  class Instance final : public PluginInstance {
   public:
    Instance(const bool& silent, std::unique_ptr<PluginInstance> instance)
        : silent_(silent), instance_(std::move(instance)) {}
    const PluginInfo& info() const override { return instance_->info(); }
    void begin_process(const unroll_block& block) override { instance_->begin_process(block); }
    void begin_finish(const unroll_document_end& end) override { instance_->begin_finish(end); }
    bool wait(std::chrono::milliseconds time) override { return !silent_ && instance_->wait(time); }
    void end() override { instance_->end(); }
    std::vector<std::byte> save() override { return instance_->save(); }
    void load(std::span<const std::byte> state) override { instance_->load(state); }
    void fork(const unroll_fork_point& point) override { instance_->fork(point); }

   private:
    const bool& silent_;
    std::unique_ptr<PluginInstance> instance_;
  };
};

/// Documents of `owners` await plugins that are silent; `other_owner` reads on; then all answer.
TEST_F(Core, DocumentsThatAwaitTheirPluginsHoldUpTheirOwnersAlone) {
  constexpr std::size_t kStateBytes = 100'000;
  constexpr std::uint32_t kOther = 2000;
  struct Limits {
    std::uint64_t all, own;
    std::vector<std::uint32_t> owners;
  };
  for (const auto& limits : {Limits{4ull << 30, 1'000'000, {1000}}, Limits{1'000'000, 2ull << 30, {1000}},
                             Limits{1'000'000, 700'000, {1000, 1001}}}) {
    const TemporaryFolder folder;
    const auto plugins = std::make_shared<SilentPlugins>();
    start({.journal = folder / "j",
           .max_memory_bytes = limits.all,
           .max_memory_bytes_per_owner = limits.own,
           .batch = 4},
          kStateBytes, plugins);
    plugins->silent = true;
    std::vector<Opened> documents;
    for (int i = 0; i < 40; ++i) {
      auto request = a_request();
      request.owner = limits.owners[i % limits.owners.size()];
      documents.push_back(open_with(some_text(500, i), request));
      if (i % 4 < 2) core_->end(documents.back().id);
      run_until_idle();
    }
    EXPECT_GT(core_->stats().memory_bytes, 1'000'000u);
    EXPECT_LT(core_->stats().memory_bytes, 1'900'000u) << "the owners' other documents wait";
    DocumentRequest other;
    other.plugins = {{"score", {{"granularity", "line"}}}};
    other.owner = kOther;
    for (int i = 0; i < 3; ++i) read(some_text(2000), other);
    plugins->silent = false;
    for (int i = 0; i < 40; ++i) {
      if (i % 4 >= 2) core_->end(documents[i].id);
    }
    for (int i = 0; i < 100; ++i) {
      now_ += std::chrono::seconds(1);
      run_until_idle();
    }
    for (const auto& document : documents) EXPECT_EQ(document.recorder->wait().phase, DocumentPhase::kDone);
  }
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

TEST_F(Core, OneOwnersMemoryLimitEvictsThatOwnersDocuments) {
  constexpr std::size_t kStateBytes = 100'000;
  const TemporaryFolder folder;
  start({.journal = folder / "j", .max_memory_bytes_per_owner = 1'000'000}, kStateBytes);
  auto other = a_request();
  other.owner = 2000;
  const auto first = open_with(some_text(500), other);
  for (int i = 0; i < 15; ++i) open_with(some_text(500, i));
  run_until_idle();
  const auto evicted = core_->stats().evictions;
  EXPECT_GT(evicted, 5u);
  core_->append(first.id, some_text(500), {});
  run_until_idle();
  EXPECT_EQ(core_->stats().evictions, evicted) << "the other's, which was read the longest ago, stayed";
}

TEST_F(Core, MemoryThatCannotBeEvictedLimitsWhatIsOpen) {
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
  start({.max_buffered_bytes = 20'000, .max_buffered_bytes_per_owner = 8'000, .batch = 1});
  std::map<int, int> rooms;
  std::vector<Opened> documents;
  const auto append = [&](int i, std::size_t bytes) {
    core_->append(documents[i].id, std::string(bytes, '\x01'), [&rooms, i] { ++rooms[i]; });
  };
  auto other = a_request(), late = a_request();
  other.owner = 2000;
  late.owner = 3000;
  for (int i = 0; i < 3; ++i) documents.push_back(open(i == 2 ? other : a_request()));
  documents.push_back(open(late));
  append(0, 6000);
  EXPECT_EQ(rooms[0], 1);
  append(1, 3000);
  EXPECT_EQ(rooms[1], 0) << "9000 of one user's 8000";
  append(2, 500);
  EXPECT_EQ(rooms[2], 1);
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("limits.buffered_bytes_per_user is 8000"));
  open(other);
  append(2, 5500);
  EXPECT_EQ(rooms[2], 1) << "15000, more than half of everybody's 20000";
  EXPECT_THAT(error_of([&] { open(other); }).what(), HasSubstr("limits.buffered_bytes is 20000"));
  append(3, 100);
  EXPECT_EQ(rooms[3], 1) << "a third user's first bytes wait for nobody";
  append(3, 100);
  EXPECT_EQ(rooms[3], 1);
  run_until_idle();
  EXPECT_EQ(rooms[1], 1);
  EXPECT_EQ(rooms[2], 2);
  EXPECT_EQ(rooms[3], 2);
  EXPECT_EQ(core_->stats().buffered_bytes, 0u);
}

}  // namespace
}  // namespace unroll
