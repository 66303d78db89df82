#include "engine/journal.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/sha256.h"
#include "engine/database.h"
#include "engine/journal_schema.h"
#include "engine/packed_text.h"

namespace unroll {
namespace {

using journal::kFormat;

/// Bytes charged to a document in addition to its outputs and states.
constexpr std::int64_t kDocumentBytes = 512;
/// Free pages are released if there are this many, and more than a quarter of the file.
constexpr std::int64_t kFreePages = 1024;
constexpr auto kShrink = "PRAGMA incremental_vacuum(4096)";

constexpr auto kStatus =
    "SELECT id, name, owner, priority, phase, bytes, total_bytes, tokens, outputs, error_code, error, source,"
    " model"
    " FROM documents JOIN progress USING(number) ";

}  // namespace

/// Another file beside the journal: SQLite's own locks are shared by all connections of a process.
class Journal::Lock {
 public:
  explicit Lock(const std::filesystem::path& journal)
      : descriptor_(create(journal, journal.string() + "-lock")) {
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(descriptor_);
      fail(journal, error);
    }
    ::close(create(journal, journal));
  }
  ~Lock() { ::close(descriptor_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  /// Other users must not read the journal; SQLite gives its other files the mode of the first.
  static int create(const std::filesystem::path& journal, const std::string& file) {
    const int descriptor = ::open(file.c_str(), O_CREAT | O_CLOEXEC | O_RDWR, 0600);
    if (descriptor < 0) fail(journal, errno);
    return descriptor;
  }
  [[noreturn]] static void fail(const std::filesystem::path& journal, int error) {
    const auto what = "the journal (" + journal.string() + ") could not be opened: ";
    if (error == ENOSPC || error == EDQUOT) {
      throw NoRoomError(what + "the disk is full; free some space to continue");
    }
    if (error == EWOULDBLOCK) {
      throw Error(ErrorCode::kJournal, what +
                                           "another process has it open: stop that process, or name another "
                                           "file with --journal");
    }
    throw Error(ErrorCode::kJournal,
                what + std::generic_category().message(error) +
                    "; check the folder's permissions and the disk, or name another file "
                    "with --journal");
  }
  int descriptor_;
};

/// One transaction; the destructor rolls it back if it was not committed.
class Journal::Writing {
 public:
  explicit Writing(Database& database) : database_(database) { database_.execute("BEGIN IMMEDIATE"); }
  ~Writing() {
    if (open_) database_.try_execute("ROLLBACK");
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  void commit() {
    database_.execute("COMMIT");
    open_ = false;
  }

  /// Returns the number of the document.
  std::int64_t write(const Commit& commit) {
    const auto number = commit.opening ? insert(commit) : number_of(commit.status.id);
    std::int64_t kept = commit.opening ? kDocumentBytes : 0, states = 0;
    if (commit.resume == Commit::Resume::kDrop) states = drop_point(number);
    if (commit.resume == Commit::Resume::kNew) states = write_point(number, commit.point);
    kept += write_outputs(number, commit.outputs);
    if (commit.forget_before > 0) kept -= forget_outputs(number, commit.forget_before);
    write_progress(number, commit, kept);
    charge(commit.status.owner, kept + states);
    return number;
  }

  void forget(const DocumentId& id) {
    auto select = database_.prepare(
        "SELECT number, owner, kept_bytes FROM documents JOIN progress USING(number) WHERE id=?");
    if (!select.bind(id).step()) return;
    const auto number = select.integer(0), kept = select.integer(2);
    const auto owner = static_cast<std::uint32_t>(select.integer(1));
    const auto states = drop_point(number);
    for (const auto* sql : {"DELETE FROM outputs WHERE number=?", "DELETE FROM progress WHERE number=?",
                            "DELETE FROM documents WHERE number=?"}) {
      database_.prepare(sql).bind(number).step();
    }
    charge(owner, states - kept);
  }

 private:
  std::int64_t number_of(const DocumentId& id) {
    auto select = database_.prepare("SELECT number FROM documents WHERE id=?");
    if (!select.bind(id).step()) {
      throw Error(ErrorCode::kJournal, "the journal no longer contains document " + id);
    }
    return select.integer(0);
  }

  std::int64_t insert(const Commit& commit) {
    auto plugins = nlohmann::json::array();
    for (const auto& plugin : commit.opening->plugins) {
      plugins.push_back({{"name", plugin.name}, {"options", plugin.options}});
    }
    const auto text = plugins.dump();
    const auto& status = commit.status;
    auto insert = database_.prepare(
        "INSERT INTO documents(id, owner, name, priority, plugins, checkpoint, source, model)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?) RETURNING number");
    insert.bind(status.id).bind(std::int64_t{status.owner}).bind(status.name).bind(status.priority);
    insert.bind(text).bind(commit.opening->checkpoint).bind(status.source).bind(status.model);
    insert.step();
    const auto number = insert.integer(0);
    insert.step();
    return number;
  }

  void write_progress(std::int64_t number, const Commit& commit, std::int64_t kept) {
    const auto& status = commit.status;
    const auto now = static_cast<std::int64_t>(std::time(nullptr));
    auto update = database_.prepare(
        "INSERT INTO progress VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(number) DO UPDATE SET"
        " phase=excluded.phase, bytes=excluded.bytes, total_bytes=excluded.total_bytes, "
        "tokens=excluded.tokens,"
        " outputs=excluded.outputs, error_code=excluded.error_code, error=excluded.error,"
        " changed=excluded.changed, finished=excluded.finished, kept_bytes=kept_bytes+excluded.kept_bytes,"
        " digest_bytes=coalesce(excluded.digest_bytes, digest_bytes), digest=coalesce(excluded.digest, "
        "digest)");
    update.bind(number).bind(static_cast<int>(status.phase)).bind(status.bytes);
    update.bind_optional(status.total_bytes).bind(status.tokens).bind(status.outputs);
    status.error_code ? update.bind(static_cast<int>(*status.error_code)) : update.bind_null();
    status.error.empty() ? update.bind_null() : update.bind(status.error);
    update.bind(now);
    status.phase == DocumentPhase::kOpen ? update.bind_null() : update.bind(now);
    update.bind(kept);
    static const PrefixDigest kNone;  // of a document that is not being resumed
    const auto* read = commit.resume == Commit::Resume::kDrop ? &kNone
                       : commit.read                          ? &*commit.read
                                                              : nullptr;
    if (read != nullptr) {
      update.bind(read->bytes).bind(read->sha256);
    } else {
      update.bind_null().bind_null();
    }
    update.step();
  }

  /// Returns by how many bytes the document's states have grown, as does the next function.
  std::int64_t write_point(std::int64_t number, const ResumePoint& point) {
    const auto [model_before, plugins_before] = state_bytes(number).value_or(std::pair(0, 0));
    auto model = model_before;
    std::int64_t plugins = 0;
    if (!point.keeps_model_state) {
      model = static_cast<std::int64_t>(point.model_state.size());
      if (model > 0) {
        database_.prepare("INSERT OR REPLACE INTO model_states VALUES(?, ?)")
            .bind(number)
            .bind(point.model_state)
            .step();
      }
    }
    database_.prepare("DELETE FROM plugin_states WHERE number=?").bind(number).step();
    for (const auto& [plugin, state] : point.plugin_states) {
      plugins += static_cast<std::int64_t>(state.size());
      database_.prepare("INSERT INTO plugin_states VALUES(?, ?, ?)")
          .bind(number)
          .bind(plugin)
          .bind(state)
          .step();
    }
    auto write =
        database_.prepare("INSERT OR REPLACE INTO resume_points VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    write.bind(number).bind(point.segment_begin).bind(point.block_begin).bind(point.blocks).bind(point.bytes);
    write.bind(point.tokens).bind(point.sequence).bind(model).bind(plugins);
    write.bind(point.prefix).step();
    return model + plugins - model_before - plugins_before;
  }

  std::int64_t drop_point(std::int64_t number) {
    const auto bytes = state_bytes(number);
    if (!bytes) return 0;
    for (const auto* sql :
         {"DELETE FROM resume_points WHERE number=?", "DELETE FROM model_states WHERE number=?",
          "DELETE FROM plugin_states WHERE number=?"}) {
      database_.prepare(sql).bind(number).step();
    }
    return -bytes->first - bytes->second;
  }

  /// Sizes of the model's state and the plugins'; nullopt if there is no resume point.
  std::optional<std::pair<std::int64_t, std::int64_t>> state_bytes(std::int64_t number) {
    auto select = database_.prepare("SELECT model_bytes, plugin_bytes FROM resume_points WHERE number=?");
    if (!select.bind(number).step()) return std::nullopt;
    return std::pair(select.integer(0), select.integer(1));
  }

  std::int64_t write_outputs(std::int64_t number, const std::vector<Output>& outputs) {
    std::int64_t bytes = 0;
    auto insert = database_.prepare("INSERT INTO outputs VALUES(?, ?, ?, ?)");
    for (const auto& output : outputs) {
      insert.bind(number).bind(output.sequence).bind(output.plugin);
      const auto packed = pack_text(output.json);
      packed ? insert.bind(*packed) : insert.bind(output.json);
      insert.step();
      insert.reset();
      bytes +=
          static_cast<std::int64_t>((packed ? packed->size() : output.json.size()) + output.plugin.size());
    }
    return bytes;
  }

  std::int64_t forget_outputs(std::int64_t number, std::uint64_t before) {
    auto remove = database_.prepare(
        "DELETE FROM outputs WHERE number=? AND sequence<?"
        " RETURNING length(CAST(json AS BLOB)) + length(CAST(plugin AS BLOB))");
    remove.bind(number).bind(before);
    std::int64_t bytes = 0;
    while (remove.step()) bytes += remove.integer(0);
    return bytes;
  }

  void charge(std::uint32_t owner, std::int64_t bytes) {
    if (bytes == 0) return;
    auto update = database_.prepare(
        "INSERT INTO owners VALUES(?, ?) ON CONFLICT(owner) DO UPDATE SET bytes=bytes+excluded.bytes");
    update.bind(std::int64_t{owner}).bind(bytes).step();
  }

  Database& database_;
  bool open_ = true;
};

Journal::Journal(const std::filesystem::path& file, const std::string& disk)
    : file_(file), disk_(disk), name_(file.empty() ? "in memory" : file.string()), durable_(!file.empty()) {
  try {
    open();
  } catch (const NoRoomError& error) {
    not_open_ = error;
  }
}

Journal::~Journal() = default;

void Journal::open() {
  auto lock = durable_ && disk_.empty() ? std::make_unique<Lock>(file_) : nullptr;
  auto writer = std::make_unique<Database>(name_, file_, disk_);
  create_tables(*writer);
  auto reader = durable_ ? std::make_unique<Database>(name_, file_, disk_) : nullptr;
  if (reader) reader->execute("PRAGMA query_only=1");
  const std::lock_guard reading(read_mutex_);
  lock_ = std::move(lock);
  writer_ = std::move(writer);
  reader_ = std::move(reader);
  not_open_.reset();
}

/// For a new file or an earlier format.
void Journal::create_tables(Database& database) const {
  const auto format = database.number("PRAGMA user_version");
  if (format < 0 || format > kFormat) {
    throw Error(ErrorCode::kJournal, "the journal (" + name_ + ") has format " + std::to_string(format) +
                                         ", this program supports " + std::to_string(kFormat) +
                                         "; name another file with --journal");
  }
  // Small pages: a commit writes whole pages, of which few bytes are new.
  if (format == 0) database.execute("PRAGMA page_size=1024; PRAGMA auto_vacuum=INCREMENTAL");
  database.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192; PRAGMA "
      "wal_autocheckpoint=8192");
  // Pages that an earlier process wrote but could not sync may be readable without being on disk, and a later
  // sync would not write them. So they are written and synced again. SQLite does not sync the truncated log;
  // a commit does. Otherwise a power cut could bring back an older log, which hides the pages.
  database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto set_format = "PRAGMA user_version=" + std::to_string(kFormat);
  if (format == kFormat) return database.execute(set_format.c_str());
  database.execute("BEGIN IMMEDIATE");
  if (format == 3 || format == 4) {
    if (format == 3) database.execute(journal::kFromFormat3);
    database.execute(journal::kFromFormat4);
  } else {
    if (format == 1) database.execute(journal::kFromFormat1);
    if (format > 0) database.execute(journal::kBeginFromFormat2);
    database.execute(journal::kSchema);
    if (format > 0) database.execute(journal::kEndFromFormat2);
  }
  database.execute((set_format + "; COMMIT").c_str());
  if (format > 0 && format < 3)
    database.try_execute("PRAGMA auto_vacuum=INCREMENTAL; VACUUM");  // or it never shrinks
}

bool Journal::is_open() const {
  const std::lock_guard lock(read_mutex_);
  return !not_open_;
}

Database& Journal::writer() {
  if (!writer_) open();
  return *writer_;
}

Database& Journal::reader() const {
  if (not_open_) throw Error(*not_open_);
  return durable_ ? *reader_ : *writer_;
}

template <class Work>
void Journal::write(Work work) {
  const std::lock_guard lock(write_mutex_);
  auto& database = writer();
  auto reading = durable_ ? std::unique_lock<std::mutex>() : std::unique_lock(read_mutex_);
  Writing writing(database);
  work(writing);
  writing.commit();
}

void Journal::commit(std::span<const Commit> commits) {
  write([&](Writing& writing) {
    for (const auto& commit : commits) writing.write(commit);
  });
}

void Journal::forget(std::span<const DocumentId> documents) {
  write([&](Writing& writing) {
    for (const auto& id : documents) writing.forget(id);
  });
}

bool Journal::shrink() {
  const std::lock_guard lock(write_mutex_);
  auto& database = writer();
  auto reading = durable_ ? std::unique_lock<std::mutex>() : std::unique_lock(read_mutex_);
  const auto is_many = [&] {
    const auto free = database.number("PRAGMA freelist_count");
    return free > kFreePages && free > database.number("PRAGMA page_count") / 4;
  };
  if (!is_many()) return false;
  database.execute(kShrink);
  return is_many();
}

void Journal::fail_damaged(const std::string& what) const {
  throw Error(ErrorCode::kJournal, "the journal (" + name_ + ") is damaged: " + what +
                                       "; restore the file, or name another one with --journal");
}

DocumentStatus Journal::status_of(const Database::Statement& row) const {
  DocumentStatus status;
  status.id = row.text(0);
  status.name = row.text(1);
  status.owner = static_cast<std::uint32_t>(row.integer(2));
  status.priority = static_cast<int>(row.integer(3));
  if (row.integer(4) < 0 || row.integer(4) > static_cast<int>(DocumentPhase::kFailed)) {
    fail_damaged("document " + status.id + " is neither open nor done nor failed");
  }
  status.phase = static_cast<DocumentPhase>(row.integer(4));
  status.bytes = row.natural(5);
  if (!row.is_null(6)) status.total_bytes = row.natural(6);
  status.tokens = row.natural(7);
  status.outputs = row.natural(8);
  if (!row.is_null(9)) status.error_code = static_cast<ErrorCode>(row.integer(9));
  status.error = row.text(10);
  status.source = row.text(11);
  status.model = row.text(12);
  return status;
}

std::optional<DocumentStatus> Journal::find(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(std::string(kStatus) + "WHERE id=?");
  if (!select.bind(id).step()) return std::nullopt;
  return status_of(select);
}

std::vector<DocumentStatus> Journal::list(const ListRequest& request) const {
  const std::lock_guard lock(read_mutex_);
  std::string sql = kStatus;
  sql += request.before ? "WHERE number < (SELECT number FROM documents WHERE id=?)" : "WHERE ? = ''";
  if (request.owner) sql += " AND owner=?";
  if (request.open_only) sql += " AND finished IS NULL";
  auto select = reader().prepare(sql + " ORDER BY number DESC LIMIT ?");
  const auto before = request.before.value_or("");
  select.bind(before);
  if (request.owner) select.bind(std::int64_t{*request.owner});
  select.bind(std::uint64_t{request.limit});
  std::vector<DocumentStatus> result;
  while (select.step()) result.push_back(status_of(select));
  return result;
}

Opening Journal::opening(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare("SELECT plugins, checkpoint FROM documents WHERE id=?");
  Opening result;
  if (!select.bind(id).step()) return result;
  result.checkpoint = select.text(1);
  try {
    for (const auto& entry : nlohmann::json::parse(select.text(0)))
      result.plugins.push_back({entry.at("name"), entry.at("options")});
  } catch (const nlohmann::json::exception&) {
    fail_damaged("the plugins of document " + id + " are not the JSON that was written");
  }
  return result;
}

ResumePoint Journal::resume_point(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  ResumePoint point;
  auto select = reader().prepare(
      "SELECT segment_begin, block_begin, blocks, bytes, tokens, sequence, model_bytes, number, prefix"
      " FROM resume_points JOIN documents USING(number) WHERE id=?");
  if (!select.bind(id).step()) return point;
  point.segment_begin = select.natural(0);
  point.block_begin = select.natural(1);
  point.blocks = select.natural(2);
  point.bytes = select.natural(3);
  point.tokens = select.natural(4);
  point.sequence = select.natural(5);
  point.prefix = select.blob(8);
  const auto number = select.integer(7);
  if (select.integer(6) > 0) {
    auto state = reader().prepare("SELECT state FROM model_states WHERE number=?");
    if (!state.bind(number).step()) fail_damaged("the state of document " + id + " is missing");
    point.model_state = state.blob(0);
  }
  auto states = reader().prepare("SELECT plugin, state FROM plugin_states WHERE number=?");
  states.bind(number);
  while (states.step()) point.plugin_states[states.text(0)] = states.blob(1);
  return point;
}

PrefixDigest Journal::resume_prefix(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(
      "SELECT segment_begin, prefix FROM resume_points JOIN documents USING(number) WHERE id=?");
  if (!select.bind(id).step()) return {};
  const auto prefix = Sha256::load(select.blob(1));
  return {select.natural(0), prefix ? prefix->digest() : std::vector<std::byte>()};
}

PrefixDigest Journal::read_prefix(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  auto select =
      reader().prepare("SELECT digest_bytes, digest FROM progress JOIN documents USING(number) WHERE id=?");
  if (!select.bind(id).step()) return {};
  return {select.natural(0), select.blob(1)};
}

std::vector<Output> Journal::outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(
      "SELECT sequence, plugin, json FROM outputs WHERE number=(SELECT number FROM documents WHERE id=?)"
      " AND sequence>=? ORDER BY sequence LIMIT ?");
  select.bind(id).bind(from).bind(std::uint64_t{limit});
  std::vector<Output> result;
  while (select.step()) {
    auto json = select.is_blob(2) ? unpack_text(select.blob(2)) : select.text(2);
    if (!json) fail_damaged("an output of document " + id + " cannot be unpacked");
    result.push_back({select.natural(0), select.text(1), *std::move(json)});
  }
  return result;
}

std::uint64_t Journal::owner_bytes(std::uint32_t owner) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare("SELECT bytes FROM owners WHERE owner=?");
  return select.bind(std::int64_t{owner}).step() ? select.natural(0) : 0;
}

std::uint64_t Journal::largest_owner_bytes() const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare("SELECT coalesce(max(bytes), 0) FROM owners");
  return select.step() ? select.natural(0) : 0;
}

std::uint64_t Journal::file_bytes() const {
  std::uint64_t bytes = 0;
  if (!durable_) return bytes;
  for (const auto* end : {"", "-wal", "-shm"}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file_.string() + end, error);
    if (!error) bytes += size;
  }
  return bytes;
}

std::vector<DocumentId> Journal::expired(std::chrono::seconds finished, std::chrono::seconds waiting,
                                         std::size_t most) const {
  const std::lock_guard lock(read_mutex_);
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  std::vector<DocumentId> result;
  const auto add = [&](const char* where, std::int64_t before) {
    auto select = reader().prepare(
        std::string("SELECT id FROM progress JOIN documents USING(number) WHERE ") + where + " LIMIT ?");
    select.bind(before).bind(std::uint64_t{most});
    while (select.step()) result.push_back(select.text(0));
  };
  add("finished < ?", now - finished.count());
  add("finished IS NULL AND changed < ?", now - waiting.count());
  return result;
}

}  // namespace unroll
