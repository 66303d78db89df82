#include "engine/database.h"

#include <cerrno>
#include <utility>

namespace unroll {
namespace {

bool is_out_of_room(sqlite3* connection, int code) {
  if (code == SQLITE_FULL) return true;
  if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN) return false;
  const int error = sqlite3_system_errno(connection);
  return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

}  // namespace

std::int64_t time_of_disk(const std::string& disk) {
  constexpr std::int64_t k1970 = 210'866'760'000;  // seconds since the beginning of Julian days
  auto* vfs = sqlite3_vfs_find(disk.empty() ? nullptr : disk.c_str());
  sqlite3_int64 milliseconds = 0;
  vfs->xCurrentTimeInt64(vfs, &milliseconds);
  return milliseconds / 1000 - k1970;
}

Database::Database(std::string name, const std::filesystem::path& file, const std::string& disk)
    : name_(std::move(name)), connection_(nullptr, &sqlite3_close) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(file.empty() ? ":memory:" : file.c_str(), &raw,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                   disk.empty() ? nullptr : disk.c_str());
  connection_.reset(raw);
  if (code != SQLITE_OK) fail("opened");
}

void Database::fail(const std::string& doing) const {
  const int code = sqlite3_errcode(connection_.get()) & 0xff;
  const auto what = "the journal (" + name_ + ") could not be " + doing + ": ";
  if (is_out_of_room(connection_.get(), code)) {
    throw NoRoomError(what + "the disk is full; free some space to continue");
  }
  const std::string advice =
      code == SQLITE_BUSY
          ? "another process has it open: stop that process, or name another file with --journal"
      : code == SQLITE_NOTADB
          ? "it is not a journal: name another file with --journal"
          : "check the folder's permissions and the disk, or name another file with --journal";
  throw Error(ErrorCode::kJournal, what + sqlite3_errmsg(connection_.get()) + "; " + advice);
}

void Database::execute(const char* sql) const {
  if (sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("used");
}

void Database::try_execute(const char* sql) const noexcept {
  sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
}

Database::Statement Database::prepare(std::string_view sql) {
  const auto known = statements_.find(sql);
  if (known != statements_.end()) return {*this, known->second.second.get()};
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK)
    fail("used");
  Prepared statement(raw, &sqlite3_finalize);
  auto text = std::make_unique<std::string>(sql);
  const std::string_view key = *text;
  statements_.emplace(key, std::pair(std::move(text), std::move(statement)));
  return {*this, raw};
}

std::int64_t Database::number(std::string_view sql) {
  auto statement = prepare(sql);
  return statement.step() ? statement.integer(0) : 0;
}

}  // namespace unroll
