#include "client/batch/batch_state.h"

#include <sqlite3.h>

#include "client/batch/result_files.h"

namespace unroll {
namespace {

constexpr auto kOpen = R"(
PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS files(
  path TEXT PRIMARY KEY, content TEXT NOT NULL, plugins TEXT NOT NULL, model TEXT NOT NULL,
  document TEXT NOT NULL, complete INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_content ON files(content);
COMMIT;
)";

}  // namespace

/// A prepared statement: bind in order, step, read columns.
class BatchState::Statement {
 public:
  Statement(const BatchState& state, const char* sql)
      : state_(state), statement_(nullptr, &sqlite3_finalize) {
    sqlite3_stmt* raw = nullptr;
    check(sqlite3_prepare_v2(state.database_.get(), sql, -1, &raw, nullptr));
    statement_.reset(raw);
  }
  Statement& bind(const std::string& text) {
    return check(sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                                     SQLITE_UTF8));
  }
  Statement& bind(int value) { return check(sqlite3_bind_int(statement_.get(), ++bound_, value)); }
  bool step() {
    const int code = sqlite3_step(statement_.get());
    if (code != SQLITE_ROW && code != SQLITE_DONE) state_.fail();
    return code == SQLITE_ROW;
  }
  std::string text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return data == nullptr ? std::string() : std::string(data, size);
  }
  int integer(int column) const { return sqlite3_column_int(statement_.get(), column); }

 private:
  Statement& check(int code) {
    if (code != SQLITE_OK) state_.fail();
    return *this;
  }
  const BatchState& state_;
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement_;
  int bound_ = 0;
};

BatchState::BatchState(const std::filesystem::path& file)
    : name_(file.string()), database_(nullptr, &sqlite3_close) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open(file.c_str(), &raw);
  database_.reset(raw);
  if (code != SQLITE_OK || sqlite3_exec(raw, kOpen, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

BatchState::~BatchState() = default;

void BatchState::fail() const {
  const int code = sqlite3_errcode(database_.get());
  if (code == SQLITE_BUSY) {
    throw CommandError("another 'unroll batch' is writing these results (" + name_ +
                       " is locked); wait until it is done, or name another folder with --out");
  }
  throw ResultUnwritable("cannot use the records of earlier runs (" + name_ +
                         "): " + sqlite3_errmsg(database_.get()) +
                         (code == SQLITE_FULL     ? "; free some disk space and run the command again"
                          : code == SQLITE_NOTADB ? "; remove that file to read everything again"
                                                  : "; check the folder's permissions and the disk"));
}

std::optional<BatchState::Entry> BatchState::find(const std::filesystem::path& path) const {
  const std::lock_guard lock(mutex_);
  Statement select(*this, "SELECT content, plugins, model, document, complete FROM files WHERE path=?");
  if (!select.bind(path.string()).step()) return std::nullopt;
  return Entry{{select.text(0), select.text(1), select.text(2)}, select.text(3), select.integer(4) != 0};
}

std::vector<std::filesystem::path> BatchState::complete_with(const ResultKey& key) const {
  const std::lock_guard lock(mutex_);
  Statement select(
      *this, "SELECT path FROM files WHERE content=? AND plugins=? AND model=? AND complete ORDER BY path");
  select.bind(key.content).bind(key.plugins).bind(key.model);
  std::vector<std::filesystem::path> paths;
  while (select.step()) paths.emplace_back(select.text(0));
  return paths;
}

void BatchState::put(const std::filesystem::path& path, const Entry& entry) {
  const std::lock_guard lock(mutex_);
  Statement insert(*this, "INSERT OR REPLACE INTO files VALUES(?, ?, ?, ?, ?, ?)");
  insert.bind(path.string()).bind(entry.key.content).bind(entry.key.plugins).bind(entry.key.model);
  insert.bind(entry.document).bind(entry.complete ? 1 : 0).step();
}

void BatchState::forget(const std::filesystem::path& path) {
  const std::lock_guard lock(mutex_);
  Statement(*this, "DELETE FROM files WHERE path=?").bind(path.string()).step();
}

}  // namespace unroll
