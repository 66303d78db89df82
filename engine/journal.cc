#include "engine/journal.h"

#include <ctime>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

namespace unroll {
namespace {

constexpr int kSchemaVersion = 2;
constexpr auto kSchema = R"(
CREATE TABLE documents(
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, owner INTEGER NOT NULL,
  priority INTEGER NOT NULL, plugins TEXT NOT NULL, source TEXT NOT NULL DEFAULT '', phase INTEGER NOT NULL, bytes INTEGER NOT NULL,
  total_bytes INTEGER, tokens INTEGER NOT NULL, outputs INTEGER NOT NULL, error_code INTEGER, error TEXT,
  segment_begin INTEGER NOT NULL DEFAULT 0, block_begin INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0,
  model_state BLOB, finished INTEGER, changed INTEGER NOT NULL DEFAULT (unixepoch()));
CREATE TABLE plugin_states(
  document TEXT NOT NULL, plugin TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY(document, plugin)) WITHOUT ROWID;
CREATE TABLE outputs(
  document TEXT NOT NULL, sequence INTEGER NOT NULL, plugin TEXT NOT NULL, json TEXT NOT NULL,
  PRIMARY KEY(document, sequence)) WITHOUT ROWID;
)";
/// From format 1, where a block was shown whole.
constexpr auto kFromFormat1 = R"(
ALTER TABLE documents ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN block_begin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
UPDATE documents SET changed=unixepoch();
UPDATE documents SET block_begin=bytes;
)";
constexpr auto kStatusColumns =
    "id, name, owner, priority, phase, bytes, total_bytes, tokens, outputs, error_code, error, source";

/// What documents say is their owners' alone; SQLite gives its other files the rights of the first.
void create_private(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_CREAT | O_CLOEXEC | O_RDWR, 0600);
  if (descriptor >= 0) ::close(descriptor);  // otherwise SQLite says what is wrong
}

}  // namespace

/// A prepared statement: bind in order, step, read columns.
class Journal::Statement {
 public:
  Statement(const Journal& journal, const std::string& sql)
      : journal_(journal), statement_(nullptr, &sqlite3_finalize) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(journal.database_.get(), sql.c_str(), -1, &raw, nullptr) != SQLITE_OK)
      journal.fail("used");
    statement_.reset(raw);
  }
  Statement& bind(std::int64_t value) { return check(sqlite3_bind_int64(get(), ++bound_, value)); }
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind_null() { return check(sqlite3_bind_null(get(), ++bound_)); }
  Statement& bind(const std::string& text) {
    return check(sqlite3_bind_text64(get(), ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  Statement& bind(const std::vector<std::byte>& blob) {
    static constexpr char kEmpty = 0;  // a null pointer would be NULL, not a blob of no bytes
    const void* data = blob.empty() ? static_cast<const void*>(&kEmpty) : blob.data();
    return check(sqlite3_bind_blob64(get(), ++bound_, data, blob.size(), SQLITE_STATIC));
  }
  /// Ready to be bound again.
  void reset() {
    sqlite3_reset(get());
    bound_ = 0;
  }
  /// True while there is a row.
  bool step() {
    const int code = sqlite3_step(get());
    if (code != SQLITE_ROW && code != SQLITE_DONE) journal_.fail("used");
    return code == SQLITE_ROW;
  }
  bool is_null(int column) const { return sqlite3_column_type(get(), column) == SQLITE_NULL; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(get(), column); }
  std::uint64_t natural(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(get(), column));
    return data == nullptr ? std::string() : std::string(data, size(column));
  }
  std::vector<std::byte> blob(int column) const {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(get(), column));
    return {data, data + size(column)};
  }
  DocumentStatus status() const {
    DocumentStatus status;
    status.id = text(0);
    status.name = text(1);
    status.owner = static_cast<std::uint32_t>(integer(2));
    status.priority = static_cast<int>(integer(3));
    if (integer(4) < 0 || integer(4) > static_cast<int>(DocumentPhase::kFailed)) {
      journal_.fail_damaged("document " + status.id + " is neither open nor done nor failed");
    }
    status.phase = static_cast<DocumentPhase>(integer(4));
    status.bytes = natural(5);
    if (!is_null(6)) status.total_bytes = natural(6);
    status.tokens = natural(7);
    status.outputs = natural(8);
    if (!is_null(9)) status.error_code = static_cast<ErrorCode>(integer(9));
    status.error = text(10);
    status.source = text(11);
    return status;
  }

 private:
  sqlite3_stmt* get() const { return statement_.get(); }
  std::size_t size(int column) const { return static_cast<std::size_t>(sqlite3_column_bytes(get(), column)); }
  Statement& check(int code) {
    if (code != SQLITE_OK) journal_.fail("used");
    return *this;
  }
  const Journal& journal_;
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement_;
  int bound_ = 0;
};

Journal::Journal(const std::filesystem::path& file, const std::string& disk)
    : name_(file.empty() ? "in memory" : file.string()),
      durable_(!file.empty()),
      database_(nullptr, &sqlite3_close) {
  if (durable_ && disk.empty()) create_private(file);
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(durable_ ? file.c_str() : ":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                      disk.empty() ? nullptr : disk.c_str());
  database_.reset(raw);
  if (code != SQLITE_OK) fail("opened");
  // Exclusive: a second daemon on the same journal is refused instead of mixing with this one.
  execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
  // What an earlier process wrote and could not sync may be readable and yet not on the disk, and no later
  // sync would put it there. Written and synced anew, it is.
  execute("PRAGMA wal_checkpoint(TRUNCATE)");
  migrate();
  execute("BEGIN EXCLUSIVE; COMMIT");  // takes the lock now, so that it fails here or never
}

Journal::~Journal() = default;

void Journal::fail(const std::string& doing) const {
  const int code = sqlite3_errcode(database_.get());
  const std::string advice =
      code == SQLITE_BUSY ? "another process has it open: stop that one, or name another file with --journal"
      : code == SQLITE_FULL
          ? "free some disk space; documents go on from their last commit when they are resumed"
      : code == SQLITE_NOTADB ? "it is not a journal: name another file with --journal"
                              : "check the folder's rights and the disk, or name another file with --journal";
  throw Error(ErrorCode::kJournal, "the journal (" + name_ + ") could not be " + doing + ": " +
                                       sqlite3_errmsg(database_.get()) + "; " + advice);
}

void Journal::fail_damaged(const std::string& what) const {
  throw Error(ErrorCode::kJournal, "the journal (" + name_ + ") is damaged: " + what +
                                       "; restore the file, or name another one with --journal");
}

void Journal::execute(const char* sql) const {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("used");
}

void Journal::migrate() const {
  Statement version(*this, "PRAGMA user_version");
  version.step();
  const auto format = version.integer(0);
  version.reset();
  if (format == kSchemaVersion) return;
  if (format != 0 && format != 1) {
    throw Error(ErrorCode::kJournal, "the journal (" + name_ + ") has format " + std::to_string(format) +
                                         ", this program knows " + std::to_string(kSchemaVersion) +
                                         "; name another file with --journal");
  }
  execute("BEGIN IMMEDIATE");
  execute(format == 0 ? kSchema : kFromFormat1);
  execute(("PRAGMA user_version=" + std::to_string(kSchemaVersion) + "; COMMIT").c_str());
}

void Journal::insert(const DocumentStatus& status, const std::vector<PluginRequest>& plugins) {
  auto list = nlohmann::json::array();
  for (const auto& plugin : plugins) list.push_back({{"name", plugin.name}, {"options", plugin.options}});
  const auto text = list.dump();
  const std::lock_guard lock(mutex_);
  Statement insert(
      *this,
      "INSERT INTO documents(id, name, owner, priority, plugins, source, phase, bytes, total_bytes, tokens,"
      " outputs) VALUES(?, ?, ?, ?, ?, ?, 0, 0, ?, 0, 0)");
  insert.bind(status.id).bind(status.name).bind(std::int64_t{status.owner}).bind(status.priority).bind(text);
  insert.bind(status.source);
  if (status.total_bytes) {
    insert.bind(*status.total_bytes);
  } else {
    insert.bind_null();
  }
  insert.step();
}

void Journal::commit(std::span<const Commit> commits) {
  const std::lock_guard lock(mutex_);
  execute("BEGIN IMMEDIATE");
  try {
    for (const auto& commit : commits) {
      write_status(commit.status);
      if (commit.resume != Commit::Resume::kKeep) write_resume_point(commit.status.id, commit.point);
      write_outputs(commit.status.id, commit.outputs);
      if (commit.forget_before > 0) forget_outputs(commit.status.id, commit.forget_before);
    }
    execute("COMMIT");
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void Journal::write_status(const DocumentStatus& status) const {
  Statement update(*this,
                   "UPDATE documents SET phase=?, bytes=?, tokens=?, outputs=?, error=?, error_code=?,"
                   " finished=?, changed=unixepoch() WHERE id=?");
  update.bind(static_cast<int>(status.phase)).bind(status.bytes).bind(status.tokens).bind(status.outputs);
  update.bind(status.error);
  if (status.error_code) {
    update.bind(static_cast<int>(*status.error_code));
  } else {
    update.bind_null();
  }
  if (status.phase == DocumentPhase::kOpen) {
    update.bind_null();
  } else {
    update.bind(static_cast<std::int64_t>(std::time(nullptr)));
  }
  update.bind(status.id).step();
}

void Journal::write_resume_point(const DocumentId& id, const ResumePoint& point) const {
  Statement update(*this, "UPDATE documents SET segment_begin=?, block_begin=?, blocks=? WHERE id=?");
  update.bind(point.segment_begin).bind(point.block_begin).bind(point.blocks).bind(id).step();
  if (!point.keeps_model_state) {
    Statement state(*this, "UPDATE documents SET model_state=? WHERE id=?");
    state.bind(point.model_state).bind(id).step();
  }
  Statement(*this, "DELETE FROM plugin_states WHERE document=?").bind(id).step();
  for (const auto& [plugin, state] : point.plugin_states) {
    Statement insert(*this, "INSERT INTO plugin_states VALUES(?, ?, ?)");
    insert.bind(id).bind(plugin).bind(state).step();
  }
}

void Journal::write_outputs(const DocumentId& id, const std::vector<Output>& outputs) const {
  if (outputs.empty()) return;
  Statement insert(*this, "INSERT INTO outputs VALUES(?, ?, ?, ?)");
  for (const auto& output : outputs) {
    insert.bind(id).bind(output.sequence).bind(output.plugin).bind(output.json).step();
    insert.reset();
  }
}

void Journal::forget_outputs(const DocumentId& id, std::uint64_t before) const {
  Statement(*this, "DELETE FROM outputs WHERE document=? AND sequence<?").bind(id).bind(before).step();
}

std::optional<DocumentStatus> Journal::find(const DocumentId& id) const {
  const std::lock_guard lock(mutex_);
  Statement select(*this, std::string("SELECT ") + kStatusColumns + " FROM documents WHERE id=?");
  if (!select.bind(id).step()) return std::nullopt;
  return select.status();
}

std::vector<DocumentStatus> Journal::list(std::optional<std::uint32_t> owner) const {
  const std::lock_guard lock(mutex_);
  Statement select(*this, std::string("SELECT ") + kStatusColumns +
                              " FROM documents WHERE ?1 < 0 OR owner=?1 ORDER BY number DESC");
  select.bind(owner ? std::int64_t{*owner} : -1);
  std::vector<DocumentStatus> result;
  while (select.step()) result.push_back(select.status());
  return result;
}

std::vector<PluginRequest> Journal::plugins(const DocumentId& id) const {
  const std::lock_guard lock(mutex_);
  Statement select(*this, "SELECT plugins FROM documents WHERE id=?");
  std::vector<PluginRequest> result;
  if (!select.bind(id).step()) return result;
  try {
    for (const auto& entry : nlohmann::json::parse(select.text(0)))
      result.push_back({entry.at("name"), entry.at("options")});
  } catch (const nlohmann::json::exception&) {
    fail_damaged("the plugins of document " + id + " are not the JSON that was written");
  }
  return result;
}

ResumePoint Journal::resume_point(const DocumentId& id) const {
  const std::lock_guard lock(mutex_);
  ResumePoint point;
  Statement select(*this, "SELECT segment_begin, block_begin, blocks, model_state FROM documents WHERE id=?");
  if (!select.bind(id).step()) return point;
  point.segment_begin = select.natural(0);
  point.block_begin = select.natural(1);
  point.blocks = select.natural(2);
  point.model_state = select.blob(3);
  Statement states(*this, "SELECT plugin, state FROM plugin_states WHERE document=?");
  states.bind(id);
  while (states.step()) point.plugin_states[states.text(0)] = states.blob(1);
  return point;
}

std::uint64_t Journal::resume_bytes(const DocumentId& id) const {
  const std::lock_guard lock(mutex_);
  Statement select(*this, "SELECT segment_begin FROM documents WHERE id=?");
  return select.bind(id).step() ? select.natural(0) : 0;
}

std::vector<Output> Journal::outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  Statement select(*this,
                   "SELECT sequence, plugin, json FROM outputs WHERE document=? AND sequence>=? ORDER BY "
                   "sequence LIMIT ?");
  select.bind(id).bind(from).bind(static_cast<std::uint64_t>(limit));
  std::vector<Output> result;
  while (select.step()) result.push_back({select.natural(0), select.text(1), select.text(2)});
  return result;
}

void Journal::forget(std::chrono::seconds finished, std::chrono::seconds waiting) {
  const std::lock_guard lock(mutex_);
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  const std::string old = " FROM documents WHERE finished < ?1 OR (finished IS NULL AND changed < ?2)";
  const auto run = [&](const std::string& sql) {
    Statement(*this, sql).bind(now - finished.count()).bind(now - waiting.count()).step();
  };
  run("DELETE FROM outputs WHERE document IN (SELECT id" + old + ")");
  run("DELETE FROM plugin_states WHERE document IN (SELECT id" + old + ")");
  run("DELETE" + old);
}

}  // namespace unroll
