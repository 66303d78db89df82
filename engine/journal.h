// The journal: an SQLite file (WAL, synchronous=FULL) that holds, for every document, how far it was read,
// a point to go on from, and its outputs. One commit() is one transaction: after a crash a document stands at
// its last commit, outputs included. docs/engine.md describes the tables.
//
// Any thread may call. Two connections: commit() and forget() wait for the disk on one, and what reads uses
// the other and does not wait for them. Every function throws Error(kJournal) that names the file;
// NoRoomError if its disk is full. A journal whose disk is full when it is opened opens itself when there is
// room: until then every call fails so.
#pragma once

#include <chrono>
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

#include "engine/database.h"
#include "engine/engine.h"

namespace unroll {

/// Where a document goes on: what a new process needs besides the document's bytes. It may lie before what is
/// committed: then what is read again emits outputs that the journal has already, which are dropped.
struct ResumePoint {
  std::uint64_t segment_begin = 0;  ///< Bytes: read the document again from here.
  std::uint64_t block_begin = 0;    ///< Bytes: tokens before it are done; those up to `bytes` were seen.
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0, tokens = 0;  ///< That the plugins had seen.
  std::uint64_t sequence = 0;           ///< Of the next output.
  std::vector<std::byte> model_state;   ///< Empty: before the first block.
  bool keeps_model_state =
      false;  ///< In a commit: the one committed last stays, model_state is not looked at.
  std::map<std::string, std::vector<std::byte>> plugin_states;  ///< By plugin name.
};

/// What a document was opened with.
struct Opening {
  std::vector<PluginRequest> plugins;
  std::string checkpoint;  ///< ModelInfo::checkpoint.
};

/// What one document adds in a commit.
struct Commit {
  enum class Resume { kDrop, kKeep, kNew };
  DocumentStatus status;
  std::optional<Opening> opening;  ///< Of a document that the journal does not know yet.
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
  /// False if its disk was full: commit(), forget() and shrink() try to open it.
  bool is_open() const;
  void commit(std::span<const Commit> commits);
  std::optional<DocumentStatus> find(const DocumentId& id) const;
  std::vector<DocumentStatus> list(const ListRequest& request) const;
  Opening opening(const DocumentId& id) const;
  ResumePoint resume_point(const DocumentId& id) const;
  /// Its segment_begin alone.
  std::uint64_t resume_bytes(const DocumentId& id) const;
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  /// Of an owner's documents: outputs, states and bookkeeping, about.
  std::uint64_t owner_bytes(std::uint32_t owner) const;
  /// Size of its files; 0 in memory.
  std::uint64_t file_bytes() const;

  /// Documents that finished before `finished` ago, and open ones whose last commit was `waiting` ago; at
  /// most `most`.
  std::vector<DocumentId> expired(std::chrono::seconds finished, std::chrono::seconds waiting,
                                  std::size_t most) const;
  void forget(std::span<const DocumentId> documents);
  /// Gives some of the free pages back to the file system if there are many. True if more are left.
  bool shrink();

 private:
  class Lock;
  class Writing;
  Database& writer();
  Database& reader() const;  ///< With read_mutex_ held.
  void open();
  void create_tables(Database& database) const;
  /// One transaction.
  template <class Work>
  void write(Work work);
  DocumentStatus status_of(const Database::Statement& row) const;
  [[noreturn]] void fail_damaged(const std::string& what) const;

  std::filesystem::path file_;
  std::string disk_;
  std::string name_;
  bool durable_;
  std::mutex write_mutex_;         ///< Taken before read_mutex_ if both are.
  mutable std::mutex read_mutex_;  ///< In memory it guards the only connection, too.
  std::unique_ptr<Lock> lock_;
  std::unique_ptr<Database> writer_, reader_;  ///< The second is null in memory.
  std::optional<Error> not_open_;
};

}  // namespace unroll
