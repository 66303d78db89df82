// The journal: an SQLite file (WAL, synchronous=FULL) that holds, for every document, its progress, a resume
// point and its outputs. One commit() is one transaction: after a crash a document and its outputs are in the
// state of its last commit. docs/engine.md describes the tables.
//
// Thread-safe. Two connections: commit() and forget() wait for the disk on one; readers use the other and do
// not wait for them. Every function throws Error(kJournal), which names the file; NoRoomError if its disk is
// full. If the disk is full on opening, the journal opens later, when there is space; until then every call
// throws NoRoomError.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/database.h"
#include "engine/engine.h"

namespace unroll {

/// A resume point: what a new process needs in addition to the document's bytes. It may be before the last
/// commit: blocks read again then emit outputs that the journal already has, and these are dropped.
struct ResumePoint {
  bool stored = false;              ///< The journal has it.
  std::uint64_t segment_begin = 0;  ///< Bytes: read the document again from here.
  std::uint64_t block_begin = 0;    ///< Bytes: tokens before it are done; plugins saw those up to `bytes`.
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0, tokens = 0;  ///< That the plugins had seen.
  std::uint64_t sequence = 0;           ///< Of the next output.
  std::vector<std::byte> model_state;   ///< Empty: before the first block.
  bool keeps_model_state = false;  ///< In a commit: keep the last committed state and ignore model_state.
  std::map<std::string, std::vector<std::byte>> plugin_states;  ///< By plugin name.
  /// Sha256::save() of the bytes before segment_begin; empty if an older program wrote the point.
  std::vector<std::byte> prefix;
};

/// Where a document begins that the plugins have not reached: those that read the one before are then forked.
struct Begin {
  std::uint64_t bytes = 0;
  std::vector<std::string> plugins;  ///< Their names.
};

/// What other documents go on from. Offsets count from the beginning of the first document of a chain, as the
/// tokenizer sees it.
struct Snapshot {
  std::int64_t number = 0;
  SnapshotInfo info;
  ResumePoint point;
  std::string tail;                ///< The bytes from point.segment_begin on.
  std::uint64_t plugin_begin = 0;  ///< Where the document begins that the plugins are reading at `point`.
  std::vector<Begin> begins;       ///< After `point`, in order.
};

/// Whether its offsets are in the order on which reading on depends.
bool offsets_agree(const Snapshot& snapshot);

/// By which a document's first bytes are recognized. SHA-256; empty: not known.
struct PrefixDigest {
  std::uint64_t bytes = 0;
  std::vector<std::byte> sha256;
};

/// The parameters that a document was opened with.
struct Opening {
  std::vector<PluginRequest> plugins;
  std::string checkpoint;                     ///< ModelInfo::checkpoint.
  std::optional<std::int64_t> snapshot = {};  ///< Number of the one that it goes on from.
};

/// One document's part of a commit.
struct Commit {
  enum class Resume { kDrop, kKeep, kNew };
  DocumentStatus status;
  std::optional<Opening> opening;  ///< For a document that is not in the journal yet.
  /// The resume point: none (the states are dropped), unchanged, or `point`.
  Resume resume = Resume::kDrop;
  ResumePoint point;
  /// Of the bytes that the outputs so far are about, which may be more than the point's. Nullopt: as before.
  std::optional<PrefixDigest> read;
  std::vector<Output> outputs;  ///< New ones; a sequence number that is there already is an error.
  std::vector<std::shared_ptr<const Snapshot>> snapshots;  ///< New ones.
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

  /// False in memory: documents cannot be resumed later, and states need not be saved.
  bool durable() const { return durable_; }
  /// False if its disk was full on opening: commit(), forget() and shrink() then try to open it.
  bool is_open() const;
  void commit(std::span<const Commit> commits);
  std::optional<DocumentStatus> find(const DocumentId& id) const;
  std::vector<DocumentStatus> list(const ListRequest& request) const;
  Opening opening(const DocumentId& id) const;
  ResumePoint resume_point(const DocumentId& id) const;
  /// Its segment_begin and the digest of the bytes before it.
  PrefixDigest resume_prefix(const DocumentId& id) const;
  /// Commit::read, as it was last committed.
  PrefixDigest read_prefix(const DocumentId& id) const;
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  /// Approximate bytes of an owner's documents: outputs, states and bookkeeping.
  std::uint64_t owner_bytes(std::uint32_t owner) const;
  /// Of the owner that has the most.
  std::uint64_t largest_owner_bytes() const;
  /// Seconds since 1970, by the clock of its disk.
  std::int64_t now() const;
  /// Size of its files; 0 in memory.
  std::uint64_t file_bytes() const;

  /// Nullopt: none of that name, or it has expired.
  std::optional<Snapshot> find_snapshot(std::uint32_t owner, const std::string& name,
                                        bool with_model_state = false) const;
  /// Without the model's state; it may have no name any more.
  Snapshot snapshot(std::int64_t number) const;
  std::vector<std::byte> snapshot_state(std::int64_t number) const;
  std::vector<SnapshotInfo> snapshots(std::uint32_t owner) const;  ///< By name.
  /// How many the owner has that have not expired, without that of this name.
  std::size_t count_snapshots(std::uint32_t owner, const std::string& but) const;
  /// One of its owner and name loses its name.
  void add_snapshot(const Snapshot& snapshot);
  /// False if there is none of this name. Its states stay until forget_snapshots().
  bool unname_snapshot(std::uint32_t owner, const std::string& name);
  /// Deletes those without a name, and expired ones, from which no document goes on, but for `pinned` ones.
  void forget_snapshots(const std::multiset<std::int64_t>& pinned);

  /// At most `most` documents that finished more than `finished` ago, or are open with a last commit more
  /// than `waiting` ago.
  std::vector<DocumentId> expired(std::chrono::seconds finished, std::chrono::seconds waiting,
                                  std::size_t most) const;
  /// Deletes documents with up to kForgetOutputs outputs in one transaction, since commits wait for it.
  /// Returns false if some are left: repeat the call.
  bool forget(std::span<const DocumentId> documents);
  static constexpr std::uint64_t kForgetOutputs = 20'000;
  /// Returns some free pages to the file system if there are many. Returns true if more are left.
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
  ResumePoint read_point(std::int64_t number, bool with_model_state) const;
  std::vector<std::byte> read_model_state(std::int64_t number) const;
  SnapshotInfo snapshot_info(const Database::Statement& row) const;
  Snapshot read_snapshot(const Database::Statement& row, bool with_model_state) const;
  DocumentStatus status_of(const Database::Statement& row) const;
  [[noreturn]] void fail_damaged(const std::string& what) const;

  std::filesystem::path file_;
  std::string disk_;
  std::string name_;
  bool durable_;
  std::mutex write_mutex_;         ///< Taken before read_mutex_ if both are.
  mutable std::mutex read_mutex_;  ///< In memory it also guards the only connection.
  std::unique_ptr<Lock> lock_;
  std::unique_ptr<Database> writer_, reader_;  ///< The second is null in memory.
  std::optional<Error> not_open_;
};

}  // namespace unroll
