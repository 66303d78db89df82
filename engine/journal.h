// The journal: an SQLite file (WAL, synchronous=FULL) that holds, for every document, how far it was read,
// the states to go on from there, and its outputs. One commit() is one transaction: after a crash a document
// stands at its last commit, outputs included. Any thread may call; every function throws Error(kJournal)
// that names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

struct sqlite3;

namespace unroll {

/// Where a document goes on: what a new process needs besides the document's bytes.
struct ResumePoint {
  std::uint64_t segment_begin = 0;  ///< Bytes: read the document again from here.
  std::uint64_t block_begin = 0;  ///< Bytes: tokens before it are done; those up to status.bytes were shown.
  std::uint64_t blocks = 0;
  std::vector<std::byte> model_state;  ///< Empty: before the first block.
  bool keeps_model_state =
      false;  ///< In a commit: the one committed last stays, model_state is not looked at.
  std::map<std::string, std::vector<std::byte>> plugin_states;  ///< By plugin name.
};

/// What one document adds in a commit.
struct Commit {
  enum class Resume { kDrop, kKeep, kNew };
  DocumentStatus status;
  /// Where the document goes on: nowhere (its states are dropped), where it did before, or at `point`.
  Resume resume = Resume::kDrop;
  ResumePoint point;
  std::vector<Output> outputs;      ///< New ones; a sequence number that is there already is an error.
  std::uint64_t forget_before = 0;  ///< Outputs with smaller sequence numbers are deleted.
};

class Journal {
 public:
  /// Empty: in memory. A file is locked against other processes while it is open. `disk`: the SQLite VFS
  /// that holds the file; empty: the system's.
  explicit Journal(const std::filesystem::path& file, const std::string& disk = {});
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// False in memory: nobody will ever resume, and states need not be saved.
  bool durable() const { return durable_; }
  void insert(const DocumentStatus& status, const std::vector<PluginRequest>& plugins);
  void commit(std::span<const Commit> commits);
  std::optional<DocumentStatus> find(const DocumentId& id) const;
  /// Newest first.
  std::vector<DocumentStatus> list(std::optional<std::uint32_t> owner) const;
  std::vector<PluginRequest> plugins(const DocumentId& id) const;
  ResumePoint resume_point(const DocumentId& id) const;
  /// Its segment_begin alone.
  std::uint64_t resume_bytes(const DocumentId& id) const;
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  /// Deletes documents that finished before `finished` ago, and open ones whose last commit was `waiting`
  /// ago. For when none is being read.
  void forget(std::chrono::seconds finished, std::chrono::seconds waiting);

 private:
  class Statement;
  void execute(const char* sql) const;
  void write_status(const DocumentStatus& status) const;
  void write_resume_point(const DocumentId& id, const ResumePoint& point) const;
  void write_outputs(const DocumentId& id, const std::vector<Output>& outputs) const;
  void forget_outputs(const DocumentId& id, std::uint64_t before) const;
  void migrate() const;
  [[noreturn]] void fail(const std::string& doing) const;
  [[noreturn]] void fail_damaged(const std::string& what) const;

  std::string name_;
  bool durable_;
  mutable std::mutex mutex_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> database_;
};

}  // namespace unroll
