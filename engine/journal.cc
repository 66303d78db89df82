#include "engine/journal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/sha256.h"
#include "engine/database.h"
#include "engine/journal_schema.h"
#include "engine/journal_writing.h"
#include "engine/packed_text.h"

namespace unroll {
namespace {

using journal::kFormat;

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
  if (format >= 3) {
    if (format == 3) database.execute(journal::kFromFormat3);
    if (format <= 4) database.execute(journal::kFromFormat4);
    database.execute(journal::kFromFormat5);
    database.execute(journal::kSnapshots);
  } else {
    if (format == 1) database.execute(journal::kFromFormat1);
    if (format > 0) database.execute(journal::kBeginFromFormat2);
    database.execute(journal::kSchema);
    database.execute(journal::kSnapshots);
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

void Journal::commit(std::span<const Commit> commits) {
  write([&](Writing& writing) {
    for (const auto& commit : commits) writing.write(commit);
  });
}

bool Journal::forget(std::span<const DocumentId> documents) {
  auto left = kForgetOutputs;
  write([&](Writing& writing) {
    for (auto id = documents.begin(); id != documents.end() && left > 0; ++id)
      left -= writing.forget(*id, left);
  });
  return left > 0;
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
  auto select = reader().prepare("SELECT plugins, checkpoint, snapshot FROM documents WHERE id=?");
  Opening result;
  if (!select.bind(id).step()) return result;
  result.checkpoint = select.text(1);
  if (!select.is_null(2)) result.snapshot = select.integer(2);
  try {
    result.plugins = plugins_from_text(select.text(0));
  } catch (const nlohmann::json::exception&) {
    fail_damaged("the plugins of document " + id + " are not the JSON that was written");
  }
  return result;
}

ResumePoint Journal::resume_point(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare("SELECT number FROM documents WHERE id=?");
  return select.bind(id).step() ? read_point(select.integer(0), true) : ResumePoint();
}

ResumePoint Journal::read_point(std::int64_t number, bool with_model_state) const {
  ResumePoint point;
  auto select = reader().prepare(
      "SELECT segment_begin, block_begin, blocks, bytes, tokens, sequence, model_bytes, prefix"
      " FROM resume_points WHERE number=?");
  if (!select.bind(number).step()) return point;
  point.stored = true;
  point.segment_begin = select.natural(0);
  point.block_begin = select.natural(1);
  point.blocks = select.natural(2);
  point.bytes = select.natural(3);
  point.tokens = select.natural(4);
  point.sequence = select.natural(5);
  point.prefix = select.blob(7);
  if (with_model_state && select.integer(6) > 0) {
    point.model_state = read_model_state(number);
    if (point.model_state.empty()) fail_damaged("state " + std::to_string(number) + " is missing");
  }
  auto states = reader().prepare("SELECT plugin, state FROM plugin_states WHERE number=?");
  states.bind(number);
  while (states.step()) point.plugin_states[states.text(0)] = states.blob(1);
  return point;
}

std::vector<std::byte> Journal::read_model_state(std::int64_t number) const {
  auto state = reader().prepare("SELECT state FROM model_states WHERE number=?");
  return state.bind(number).step() ? state.blob(0) : std::vector<std::byte>();
}

PrefixDigest Journal::resume_prefix(const DocumentId& id) const {
  const std::lock_guard lock(read_mutex_);
  auto select = reader().prepare(
      "SELECT segment_begin, prefix, snapshots.bytes FROM resume_points JOIN documents USING(number)"
      " LEFT JOIN snapshots ON snapshots.number=snapshot WHERE id=?");
  if (!select.bind(id).step()) return {};
  if (!select.is_null(2)) {  // the digest is of the snapshot's bytes, too
    const auto before = select.natural(2);
    return {std::max(select.natural(0), before) - before, {}};
  }
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

std::int64_t Journal::now() const {
  return time_of_disk(disk_);
}

std::vector<DocumentId> Journal::expired(std::chrono::seconds finished, std::chrono::seconds waiting,
                                         std::size_t most) const {
  const std::lock_guard lock(read_mutex_);
  std::vector<DocumentId> result;
  const auto add = [&](const char* where, std::int64_t before) {
    auto select = reader().prepare(
        std::string("SELECT id FROM progress JOIN documents USING(number) WHERE ") + where + " LIMIT ?");
    select.bind(before).bind(std::uint64_t{most});
    while (select.step()) result.push_back(select.text(0));
  };
  add("finished < ?", now() - finished.count());
  add("finished IS NULL AND changed < ?", now() - waiting.count());
  return result;
}

}  // namespace unroll
