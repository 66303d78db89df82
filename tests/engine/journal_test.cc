#include "engine/journal.h"

#include <csignal>
#include <fstream>
#include <random>

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "tests/engine/testing.h"

namespace unroll {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

DocumentStatus a_document(const std::string& id, std::uint32_t owner = 1000) {
  DocumentStatus status;
  status.id = id;
  status.name = "book";
  status.owner = owner;
  status.priority = -3;
  status.total_bytes = 77;
  return status;
}

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

Commit a_commit(const DocumentStatus& status, std::vector<Output> outputs, bool open = true) {
  Commit commit;
  commit.status = status;
  commit.outputs = std::move(outputs);
  commit.status.bytes = 40;
  commit.status.tokens = 9;
  commit.status.outputs = commit.outputs.size();
  if (open) {
    commit.resume = Commit::Resume::kNew;
    commit.point.segment_begin = 30;
    commit.point.prefix = Sha256().save();
    commit.read = {40, bytes_of("digest")};
    commit.point.block_begin = 35;
    commit.point.blocks = 2;
    commit.point.bytes = 40;
    commit.point.tokens = 9;
    commit.point.sequence = 1;
    commit.point.model_state = bytes_of("state");
    commit.point.plugin_states = {{"score", bytes_of("plugin state")}, {"embed", {}}};
  }
  return commit;
}

/// Incompressible text.
std::string unpackable(std::size_t size) {
  std::mt19937 random(1);
  std::string text(size, ' ');
  for (auto& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

/// A document that was only opened.
void insert(Journal& journal, const DocumentStatus& status, std::vector<PluginRequest> plugins) {
  Commit commit;
  commit.status = status;
  commit.opening = Opening{std::move(plugins), "checkpoint"};
  commit.resume = Commit::Resume::kKeep;
  journal.commit({&commit, 1});
}

TEST(Journal, GivesBackWhatWasCommittedToAnotherProcessLater) {
  const TemporaryFolder folder;
  const auto document = a_document("a");
  {
    Journal journal(folder / "j");
    EXPECT_TRUE(journal.durable());
    insert(journal, document, {{"score", {{"top", 3}}}, {"embed", nlohmann::json::object()}});
    const auto commit = a_commit(document, {{0, "score", "{\"x\":1}"}, {1, "embed", "[]"}});
    journal.commit({&commit, 1});
  }
  Journal journal(folder / "j");
  const auto found = journal.find("a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "book");
  EXPECT_EQ(found->owner, 1000u);
  EXPECT_EQ(found->priority, -3);
  EXPECT_EQ(found->total_bytes, 77u);
  EXPECT_EQ(found->bytes, 40u);
  EXPECT_EQ(found->tokens, 9u);
  EXPECT_EQ(found->outputs, 2u);
  EXPECT_EQ(found->phase, DocumentPhase::kOpen);
  const auto plugins = journal.opening("a").plugins;
  EXPECT_EQ(journal.opening("a").checkpoint, "checkpoint");
  ASSERT_THAT(plugins, SizeIs(2));
  EXPECT_EQ(plugins[0].name, "score");
  EXPECT_EQ(plugins[0].options.dump(), "{\"top\":3}");
  const auto point = journal.resume_point("a");
  EXPECT_EQ(point.segment_begin, 30u);
  EXPECT_EQ(point.prefix, Sha256().save());
  EXPECT_EQ(journal.resume_prefix("a").bytes, 30u);
  EXPECT_EQ(journal.resume_prefix("a").sha256, Sha256().digest());
  EXPECT_EQ(journal.read_prefix("a").bytes, 40u);
  EXPECT_EQ(journal.read_prefix("a").sha256, bytes_of("digest"));
  EXPECT_EQ(point.block_begin, 35u);
  EXPECT_EQ(point.blocks, 2u);
  EXPECT_EQ(point.bytes, 40u);
  EXPECT_EQ(point.tokens, 9u);
  EXPECT_EQ(point.sequence, 1u);
  EXPECT_EQ(point.model_state, bytes_of("state"));
  EXPECT_EQ(point.plugin_states.at("score"), bytes_of("plugin state"));
  EXPECT_THAT(point.plugin_states.at("embed"), IsEmpty()) << "an empty state is a state";
  EXPECT_THAT(lines(journal.outputs("a", 0, 10)), ElementsAre("0 score {\"x\":1}", "1 embed []"));
  EXPECT_THAT(lines(journal.outputs("a", 1, 10)), ElementsAre("1 embed []"));
  EXPECT_THAT(lines(journal.outputs("a", 0, 1)), ElementsAre("0 score {\"x\":1}"));
}

TEST(Journal, AFinishedDocumentKeepsOutputsAndDropsStates) {
  Journal journal({});
  EXPECT_FALSE(journal.durable());
  const auto document = a_document("a");
  insert(journal, document, {{"score", {}}});
  auto commit = a_commit(document, {{0, "score", "1"}});
  journal.commit({&commit, 1});
  auto last = a_commit(document, {{1, "score", "2"}}, false);
  last.status.phase = DocumentPhase::kFailed;
  last.status.error_code = ErrorCode::kDeadline;
  last.status.error = "too late";
  journal.commit({&last, 1});
  EXPECT_THAT(lines(journal.outputs("a", 0, 10)), ElementsAre("0 score 1", "1 score 2"));
  EXPECT_THAT(journal.resume_point("a").model_state, IsEmpty());
  EXPECT_THAT(journal.resume_point("a").plugin_states, IsEmpty());
  EXPECT_EQ(journal.find("a")->error_code, ErrorCode::kDeadline);
  EXPECT_EQ(journal.find("a")->error, "too late");
}

TEST(Journal, ACommitCanLeaveAloneWhereTheDocumentGoesOn) {
  Journal journal({});
  const auto document = a_document("a");
  insert(journal, document, {{"score", {}}});
  const auto first = a_commit(document, {{0, "score", "1"}});
  journal.commit({&first, 1});
  auto second = a_commit(document, {}, false);
  second.resume = Commit::Resume::kKeep;
  second.status.error = "peer gone";
  journal.commit({&second, 1});
  EXPECT_EQ(journal.find("a")->error, "peer gone");
  EXPECT_EQ(journal.resume_point("a").model_state, bytes_of("state"));
  EXPECT_EQ(journal.resume_prefix("a").bytes, 30u);
  auto third = a_commit(document, {});
  third.point = {};
  third.point.segment_begin = 35;
  third.point.block_begin = 38;
  third.point.keeps_model_state = true;
  journal.commit({&third, 1});
  EXPECT_EQ(journal.resume_point("a").model_state, bytes_of("state"));
  EXPECT_EQ(journal.resume_point("a").block_begin, 38u);
  EXPECT_THAT(journal.resume_point("a").plugin_states, IsEmpty());
}

TEST(Journal, ASequenceNumberTwiceUndoesTheWholeCommit) {
  Journal journal({});
  const auto first = a_document("a"), second = a_document("b");
  insert(journal, first, {{"score", {}}});
  insert(journal, second, {{"score", {}}});
  const auto once = a_commit(first, {{0, "score", "1"}});
  journal.commit({&once, 1});
  const Commit both[] = {a_commit(second, {{0, "score", "1"}}), a_commit(first, {{0, "score", "again"}})};
  EXPECT_EQ(error_of([&] { journal.commit(both); }).code, ErrorCode::kJournal);
  EXPECT_THAT(lines(journal.outputs("a", 0, 10)), ElementsAre("0 score 1"));
  EXPECT_THAT(journal.outputs("b", 0, 10), IsEmpty());
  EXPECT_EQ(journal.find("b")->bytes, 0u) << "nothing of a commit that failed";
  const auto after = a_commit(second, {{0, "score", "1"}});
  journal.commit({&after, 1});
  EXPECT_THAT(journal.outputs("b", 0, 10), SizeIs(1)) << "and the next one works";
}

TEST(Journal, ListsNewestFirstAndByOwner) {
  Journal journal({});
  for (const auto* id : {"a", "b", "c"})
    insert(journal, a_document(id, id[0] == 'b' ? 7 : 8), {{"score", {}}});
  const auto ids = [](const std::vector<DocumentStatus>& list) {
    std::string text;
    for (const auto& status : list) text += status.id;
    return text;
  };
  EXPECT_EQ(ids(journal.list({})), "cba");
  EXPECT_EQ(ids(journal.list({.owner = 8})), "ca");
  EXPECT_EQ(ids(journal.list({.owner = 9})), "");
  EXPECT_FALSE(journal.find("d"));
}

void forget(Journal& journal, std::chrono::seconds finished, std::chrono::seconds waiting) {
  journal.forget(journal.expired(finished, waiting, 100));
}

TEST(Journal, ForgetsWhatHasEndedAndWhatNobodyResumes) {
  Journal journal({});
  const auto open = a_document("open"), done = a_document("done");
  insert(journal, open, {{"score", {}}});
  insert(journal, done, {{"score", {}}});
  auto commit = a_commit(done, {{0, "score", "1"}}, false);
  commit.status.phase = DocumentPhase::kDone;
  journal.commit({&commit, 1});
  forget(journal, 3600s, 3600s);
  EXPECT_TRUE(journal.find("done"));
  forget(journal, -2s, 3600s);
  EXPECT_FALSE(journal.find("done"));
  EXPECT_THAT(journal.outputs("done", 0, 10), IsEmpty());
  EXPECT_TRUE(journal.find("open"));
  commit = a_commit(open, {{0, "score", "1"}});
  journal.commit({&commit, 1});
  forget(journal, 3600s, 3600s);
  EXPECT_TRUE(journal.find("open")) << "committed just now";
  EXPECT_GT(journal.owner_bytes(1000), 0u);
  forget(journal, 3600s, -2s);
  EXPECT_FALSE(journal.find("open"));
  EXPECT_THAT(journal.outputs("open", 0, 10), IsEmpty());
  EXPECT_THAT(journal.resume_point("open").plugin_states, IsEmpty());
  EXPECT_EQ(journal.owner_bytes(1000), 0u) << "the owner is charged for nothing that is gone";
}

/// Commits wait for a transaction, so it is not as long as the largest document.
TEST(Journal, ForgetsALongDocumentInPieces) {
  Journal journal({});
  const auto large = a_document("large"), small = a_document("small"), other = a_document("other", 7);
  for (const auto& document : {small, large, other}) insert(journal, document, {{"score"}});
  auto status = large;
  status.phase = DocumentPhase::kDone;
  std::vector<Output> outputs;
  for (std::uint64_t i = 0; i < 2 * Journal::kForgetOutputs + 5; ++i) outputs.push_back({i, "score", "{}"});
  const auto commit = a_commit(status, outputs, false);
  journal.commit({&commit, 1});
  const auto bytes = journal.owner_bytes(1000);
  const std::vector<DocumentId> documents = {"small", "large", "nobody"};
  EXPECT_FALSE(journal.forget(documents));
  EXPECT_FALSE(journal.find("small"));
  EXPECT_TRUE(journal.find("large"));
  EXPECT_EQ(journal.outputs("large", 0, 1).at(0).sequence, Journal::kForgetOutputs);
  EXPECT_LT(journal.owner_bytes(1000), bytes);
  EXPECT_FALSE(journal.forget(documents));
  EXPECT_TRUE(journal.forget(documents));
  EXPECT_FALSE(journal.find("large"));
  EXPECT_THAT(journal.outputs("large", 0, 1), IsEmpty());
  EXPECT_EQ(journal.owner_bytes(1000), 0u);
  EXPECT_TRUE(journal.find("other"));
}

TEST(Journal, ListsInPagesAndWhatIsOpenAlone) {
  Journal journal({});
  for (const auto* id : {"a", "b", "c", "d"}) insert(journal, a_document(id), {{"score", {}}});
  auto commit = a_commit(a_document("c"), {}, false);
  commit.status.phase = DocumentPhase::kDone;
  journal.commit({&commit, 1});
  const auto ids = [&](const ListRequest& request) {
    std::string text;
    for (const auto& status : journal.list(request)) text += status.id;
    return text;
  };
  EXPECT_EQ(ids({.limit = 2}), "dc");
  EXPECT_EQ(ids({.limit = 2, .before = "c"}), "ba");
  EXPECT_EQ(ids({.owner = 1000, .limit = 2, .open_only = true}), "db");
  EXPECT_EQ(ids({.before = "nobody"}), "");
}

TEST(Journal, GivesBackLongOutputsThatItPacks) {
  Journal journal({});
  insert(journal, a_document("a"), {{"score", {}}});
  const auto text = "{\"text\":\"" + some_text(20'000) + "\"}";
  const auto commit = a_commit(a_document("a"), {{0, "score", text}, {1, "score", "1"}}, false);
  journal.commit({&commit, 1});
  EXPECT_THAT(lines(journal.outputs("a", 0, 10)), ElementsAre("0 score " + text, "1 score 1"));
  EXPECT_LT(journal.owner_bytes(1000), text.size() / 2);
}

TEST(Journal, GivesFreePagesBack) {
  const TemporaryFolder folder;
  {
    Journal journal(folder / "j");
    insert(journal, a_document("a"), {{"score", {}}});
    auto commit = a_commit(a_document("a"), {{0, "score", unpackable(8 << 20)}}, false);
    commit.status.phase = DocumentPhase::kDone;
    journal.commit({&commit, 1});
    forget(journal, -2s, 3600s);
  }
  EXPECT_GT(std::filesystem::file_size(folder / "j"), 6u << 20);
  {
    Journal journal(folder / "j");
    while (journal.shrink()) {
    }
  }
  EXPECT_LT(std::filesystem::file_size(folder / "j"), 2u << 20);
}

/// Readers do not wait for a writer, not even for one that holds the file.
TEST(Journal, ReadsWhileAnotherConnectionWrites) {
  const TemporaryFolder folder;
  Journal journal(folder / "j");
  insert(journal, a_document("a"), {{"score", {}}});
  sqlite3* writer = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "j").c_str(), &writer), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(writer, "BEGIN IMMEDIATE; DELETE FROM documents", nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_TRUE(journal.find("a"));
  EXPECT_THAT(journal.list({}), SizeIs(1));
  sqlite3_close(writer);
}

TEST(Journal, ASecondOneOnTheSameFileIsRefused) {
  const TemporaryFolder folder;
  const Journal journal(folder / "j");
  const auto error = error_of([&] { Journal second(folder / "j"); });
  EXPECT_EQ(error.code, ErrorCode::kJournal);
  EXPECT_THAT(error.what(), HasSubstr((folder / "j").string()));
  EXPECT_THAT(error.what(), HasSubstr("another process has it open"));
}

TEST(Journal, OtherFilesAreRefusedAndLeftAlone) {
  const TemporaryFolder folder;
  const std::string text(5000, 'x');
  std::ofstream(folder / "text") << text;
  EXPECT_THAT(error_of([&] { Journal journal(folder / "text"); }).what(), HasSubstr("not a journal"));
  std::ifstream in(folder / "text");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);

  EXPECT_THAT(error_of([&] { Journal journal(folder / "missing" / "j"); }).what(),
              HasSubstr("check the folder"));
}

TEST(Journal, AFileOfFormat1IsTakenOver) {
  const TemporaryFolder folder;
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "j").c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, R"(
    CREATE TABLE documents(
      number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, owner INTEGER NOT NULL,
      priority INTEGER NOT NULL, plugins TEXT NOT NULL, phase INTEGER NOT NULL, bytes INTEGER NOT NULL,
      total_bytes INTEGER, tokens INTEGER NOT NULL, outputs INTEGER NOT NULL, error_code INTEGER, error TEXT,
      segment_begin INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0, model_state BLOB, finished INTEGER);
    CREATE TABLE plugin_states(
      document TEXT NOT NULL, plugin TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY(document, plugin)) WITHOUT ROWID;
    CREATE TABLE outputs(
      document TEXT NOT NULL, sequence INTEGER NOT NULL, plugin TEXT NOT NULL, json TEXT NOT NULL,
      PRIMARY KEY(document, sequence)) WITHOUT ROWID;
    INSERT INTO documents VALUES(1, 'a', 'book', 7, 0, '[{"name":"score","options":{}}]', 0, 40, NULL, 9, 1, NULL, '',
      30, 2, x'0102', NULL);
    INSERT INTO outputs VALUES('a', 0, 'score', '1');
    PRAGMA user_version=1;)",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(raw);
  for (int time = 0; time < 2; ++time) {
    const Journal journal(folder / "j");
    const auto point = journal.resume_point("a");
    EXPECT_EQ(point.segment_begin, 30u);
    EXPECT_EQ(point.block_begin, 40u);
    EXPECT_THAT(point.prefix, IsEmpty());
    EXPECT_THAT(journal.read_prefix("a").sha256, IsEmpty());
    EXPECT_THAT(point.model_state, SizeIs(2));
    EXPECT_EQ(journal.find("a")->source, "");
    EXPECT_THAT(journal.outputs("a", 0, 10), SizeIs(1));
    EXPECT_EQ(point.sequence, 1u);
    EXPECT_EQ(journal.owner_bytes(7), 3u);
  }
}

/// Writes a journal with a document 'a'; `sql` removes the columns of later formats.
void write_older(const std::filesystem::path& file, const char* sql) {
  {
    Journal journal(file);
    insert(journal, a_document("a"), {{"score", {}}});
    const auto commit = a_commit(a_document("a"), {{0, "score", "1"}});
    journal.commit({&commit, 1});
  }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &raw), SQLITE_OK);
  const auto older = std::string(
                         "DROP TABLE snapshots; DROP INDEX documents_of_snapshot;"
                         "ALTER TABLE documents DROP COLUMN snapshot;") +
                     sql;
  ASSERT_EQ(sqlite3_exec(raw, older.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
  sqlite3_close(raw);
}

TEST(Journal, AFileOfFormat4IsTakenOver) {
  const TemporaryFolder folder;
  write_older(folder / "j", "ALTER TABLE documents DROP COLUMN model; PRAGMA user_version=4");
  for (int life = 0; life < 2; ++life) {
    const Journal journal(folder / "j");
    EXPECT_EQ(journal.find("a")->model, "");
    EXPECT_EQ(journal.read_prefix("a").sha256, bytes_of("digest"));
  }
  Journal journal(folder / "j");
  auto named = a_document("b");
  named.model = "books";
  insert(journal, named, {{"score", {}}});
  EXPECT_EQ(journal.find("b")->model, "books");
}

TEST(Journal, AFileOfFormat3IsTakenOver) {
  const TemporaryFolder folder;
  write_older(folder / "j",
              "ALTER TABLE documents DROP COLUMN model;"
              "ALTER TABLE progress DROP COLUMN digest_bytes; ALTER TABLE progress DROP COLUMN digest;"
              "ALTER TABLE resume_points DROP COLUMN prefix; PRAGMA user_version=3");
  for (int life = 0; life < 2; ++life) {
    Journal journal(folder / "j");
    EXPECT_EQ(journal.resume_point("a").segment_begin, 30u);
    EXPECT_EQ(journal.resume_point("a").model_state, bytes_of("state"));
    EXPECT_THAT(journal.resume_prefix("a").sha256, IsEmpty());
    EXPECT_THAT(journal.read_prefix("a").sha256, IsEmpty());
    EXPECT_THAT(lines(journal.outputs("a", 0, 10)), ElementsAre("0 score 1"));
  }
  Journal journal(folder / "j");
  const auto commit = a_commit(a_document("a"), {{1, "score", "2"}});
  journal.commit({&commit, 1});
  EXPECT_EQ(journal.read_prefix("a").sha256, bytes_of("digest"));
}

TEST(Journal, ACommitWithoutADigestKeepsItAndTheEndOfADocumentDropsIt) {
  Journal journal({});
  insert(journal, a_document("a"), {{"score", {}}});
  auto commit = a_commit(a_document("a"), {});
  journal.commit({&commit, 1});
  commit.resume = Commit::Resume::kKeep;
  commit.read.reset();
  journal.commit({&commit, 1});
  EXPECT_EQ(journal.read_prefix("a").sha256, bytes_of("digest"));
  commit.resume = Commit::Resume::kDrop;
  commit.read = {40, bytes_of("digest")};
  journal.commit({&commit, 1});
  EXPECT_THAT(journal.read_prefix("a").sha256, IsEmpty());
}

TEST(Journal, ALaterFormatIsRefused) {
  const TemporaryFolder folder;
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "j").c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version=99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  EXPECT_THAT(error_of([&] { Journal journal(folder / "j"); }).what(), HasSubstr("format 99"));
}

/// No file of this process may grow beyond `bytes`, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

TEST(Journal, ADiskWithoutRoomIsAnErrorAndWhatWasCommittedStays) {
  const TemporaryFolder folder;
  Journal journal(folder / "j");
  const auto document = a_document("a");
  insert(journal, document, {{"score", {}}});
  const auto first = a_commit(document, {{0, "score", "1"}});
  journal.commit({&first, 1});
  const auto large = a_commit(document, {{1, "score", unpackable(4 << 20)}});
  {
    const FileSizeLimit limit(1 << 20);
    const auto error = error_of([&] { journal.commit({&large, 1}); });
    EXPECT_EQ(error.code, ErrorCode::kJournal);
    EXPECT_THAT(error.what(), HasSubstr((folder / "j").string()));
  }
  EXPECT_THAT(journal.outputs("a", 0, 10), SizeIs(1));
  journal.commit({&large, 1});
  EXPECT_THAT(journal.outputs("a", 0, 10), SizeIs(2)) << "goes on when there is room again";
}

/// Damage that SQLite accepts but the journal never wrote.
TEST(Journal, DamagedValuesAreErrorsThatNameTheDocument) {
  const TemporaryFolder folder;
  const auto damaged = [&](const std::string& set) {
    std::filesystem::remove(folder / "j");
    {
      Journal journal(folder / "j");
      insert(journal, a_document("a"), {{"score", {}}});
    }
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open((folder / "j").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, ("UPDATE " + set).c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    return std::make_unique<Journal>(folder / "j");
  };
  for (const auto* plugins : {"", "[", "[1]", "[{}]", "[{\"name\":1,\"options\":{}}]"}) {
    const auto journal = damaged(std::string("documents SET plugins='") + plugins + "'");
    const auto error = error_of([&] { journal->opening("a"); });
    EXPECT_EQ(error.code, ErrorCode::kJournal) << plugins;
    EXPECT_THAT(error.what(), HasSubstr("plugins of document a")) << plugins;
  }
  for (const auto* phase : {"3", "-1", "4294967296"}) {
    const auto journal = damaged(std::string("progress SET phase=") + phase);
    EXPECT_EQ(error_of([&] { journal->find("a"); }).code, ErrorCode::kJournal) << phase;
    EXPECT_THAT(error_of([&] { journal->list({.owner = 1000}); }).what(), HasSubstr("document a is neither"))
        << phase;
  }
}

TEST(Journal, ItsFilesAreTheOwnersAlone) {
  const TemporaryFolder folder;
  const auto before = ::umask(022);
  const Journal journal(folder / "j");
  ::umask(before);
  for (const auto* name : {"j", "j-wal"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << name;
  }
}

}  // namespace
}  // namespace unroll
