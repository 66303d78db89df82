// An SQLite connection and its prepared statements. Not thread-safe. Every function throws Error(kJournal),
// which names the file; NoRoomError if the disk is full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "base/error.h"

namespace unroll {

/// Seconds since 1970 by the clock of a disk, an SQLite VFS by name; empty: the default, which has the
/// system's time. A simulated disk has a simulated clock. Any thread.
std::int64_t time_of_disk(const std::string& disk);

class Database {
 public:
  /// `name` is used in errors. `disk`: the SQLite VFS that holds the file; empty: the default.
  Database(std::string name, const std::filesystem::path& file, const std::string& disk);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const char* sql) const;
  /// The same, but ignores errors.
  void try_execute(const char* sql) const noexcept;
  class Statement;
  /// `sql` is prepared once and cached. Only one use of it at a time.
  Statement prepare(std::string_view sql);
  /// The first column of the first row.
  std::int64_t number(std::string_view sql);
  [[noreturn]] void fail(const std::string& doing) const;

 private:
  using Prepared = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;
  const std::string name_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> connection_;
  std::unordered_map<std::string_view, std::pair<std::unique_ptr<std::string>, Prepared>> statements_;
};

/// A prepared statement in use: bind in order, step, read columns. Its destructor resets it.
class Database::Statement {
 public:
  Statement(const Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  ~Statement() { reset(); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::int64_t value) { return check(sqlite3_bind_int64(statement_, ++bound_, value)); }
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind_null() { return check(sqlite3_bind_null(statement_, ++bound_)); }
  template <class Value>
  Statement& bind_optional(const Value& value) {
    return value ? bind(*value) : bind_null();
  }
  /// Text and blobs are borrowed until the next step.
  Statement& bind(const std::string& text) {
    return check(
        sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  Statement& bind(const std::vector<std::byte>& blob) {
    static constexpr char kEmpty = 0;  // a null pointer would be NULL, not a blob of no bytes
    const void* data = blob.empty() ? static_cast<const void*>(&kEmpty) : blob.data();
    return check(sqlite3_bind_blob64(statement_, ++bound_, data, blob.size(), SQLITE_STATIC));
  }
  /// Returns true while there is a row.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail("used");
    return code == SQLITE_ROW;
  }
  /// Resets it for new bindings.
  void reset() {
    sqlite3_reset(statement_);
    bound_ = 0;
  }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  bool is_blob(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_BLOB; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::uint64_t natural(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    if (data == nullptr && !is_null(column)) database_.fail("used");  // no memory
    return data == nullptr ? std::string() : std::string(data, size(column));
  }
  std::vector<std::byte> blob(int column) const {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
    if (data == nullptr) return {};
    return {data, data + size(column)};
  }

 private:
  std::size_t size(int column) const {
    return static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  }
  Statement& check(int code) {
    if (code != SQLITE_OK) database_.fail("used");
    return *this;
  }
  const Database& database_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
};

}  // namespace unroll
