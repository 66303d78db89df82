// engine/: schedules blocks and commits results. Turns documents (bytes arriving in any pieces) into blocks,
// runs them through the model and the plugins, and commits position, states and outputs together in a
// journal. One thread of the engine's own runs model, plugins and journal; every public function may be
// called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/error.h"
#include "base/snapshot.h"
#include "engine/stats.h"
#include "model/block_model.h"
#include "plugins/host.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// 48 bits of time, so that identifiers increase and the journal's index grows at its end, and 80 random
/// bits, so that other users cannot guess it; in hex.
DocumentId random_document_id();

struct Revision;

/// Receives the result of making a snapshot (an exception or null), on the engine's thread.
using SnapshotFunction = std::function<void(std::exception_ptr failure, const SnapshotInfo& info)>;

struct DocumentRequest {
  std::shared_ptr<const Revision> revision;  ///< To be read with; null: the engine's own.
  std::vector<PluginRequest> plugins;        ///< One or more, of different names.
  std::string name;                          ///< For people: shown in lists and errors.
  std::uint32_t owner = 0;                   ///< The peer's uid; the document is invisible to other users.
  int priority = 0;  ///< -10 to 10; each step multiplies its share of its owner's throughput by 1.25.
  std::optional<std::chrono::milliseconds> deadline;  ///< From open to done.
  std::optional<std::uint64_t> total_bytes;           ///< If known, for progress.
  /// Also read a partial block after this long without new bytes, for documents that grow slowly. Does not
  /// change the numbers of any token, only when they are delivered.
  std::optional<std::chrono::milliseconds> flush_after;
  /// How many of the newest outputs the journal keeps while the document is open, for endless documents.
  /// Nullopt: all.
  std::optional<std::uint64_t> keep_outputs;
  /// Read one more token after the end, which has no bytes: what a plugin sees of it is what the model
  /// expects next. Not stored: a document that is resumed ends with its last token.
  bool predict_next = false;
  /// Stored with the document for the caller: where its bytes can be read again. The engine ignores it.
  std::string source;
  std::optional<std::string> from;          ///< Go on from the owner's snapshot of this name.
  std::optional<SnapshotRequest> snapshot;  ///< Make one of the document's end. It then needs no plugin.
  std::optional<DocumentId> resume;         ///< Resume this document from its last commit.
  /// The whole document, if available: open() appends it, from the resume point on, and ends it.
  std::optional<std::string> text;
};

struct Opened {
  DocumentId id;
  std::uint64_t resume_bytes = 0;   ///< Append the document's bytes from this offset on; 0 for a new one.
  std::uint64_t next_sequence = 0;  ///< Sequence number of the first output to come.
  /// SHA-256 of the bytes before resume_bytes. Empty if there are none, or if an older program read them.
  std::vector<std::byte> resume_sha256 = {};
};

/// Of a document that is resumed: its first bytes are others than were read before, or there are fewer. For
/// the text of an Error(kSource).
std::string other_bytes(std::uint64_t bytes);
std::string too_few_bytes(std::uint64_t bytes);

/// Receives the result of opening a document (an exception or null), on the engine's thread or open()'s.
using AcceptFunction = std::function<void(std::exception_ptr failure, const Opened& opened)>;

/// Which documents to list.
struct ListRequest {
  std::optional<std::uint32_t> owner = {};  ///< Nullopt: all users'.
  std::size_t limit = 1000;                 ///< List at most this many, the newest ones
  std::optional<DocumentId> before = {};    ///< that were opened before this one.
  bool open_only = false;
};

/// Receives the events of one document on the engine's thread. It must not block. If it throws, its document
/// fails.
class DocumentListener {
 public:
  virtual ~DocumentListener() = default;
  virtual void on_output(const DocumentId& id, const Output& output) = 0;
  virtual void on_progress(const DocumentStatus& status) = 0;  ///< At most a few times per second.
  virtual void on_done(const DocumentStatus& status) = 0;      ///< The last call, or:
  virtual void on_failed(const DocumentStatus& status) = 0;    ///< the last call.
};

struct EngineOptions {
  std::filesystem::path journal{};  ///< SQLite file; empty: in memory (nothing outlives the process).
  std::string journal_disk{};       ///< SQLite VFS that holds it; empty: the default.
  // How owners share max_documents and max_buffered_bytes: base/fair_share.h.
  std::size_t max_documents = 20'000;  ///< Open at once.
  std::size_t max_documents_per_owner = 10'000;
  std::uint64_t max_document_bytes = 1ull << 40;
  std::size_t input_buffer_bytes = 256 * 1024;  ///< Per document; append's callback waits above it.
  /// Bytes accepted and not yet read, over all documents. Above it append() waits and open() is refused.
  std::uint64_t max_buffered_bytes = 1ull << 30;
  std::uint64_t max_buffered_bytes_per_owner = 1ull << 28;
  /// Memory of open documents: states, buffers, bookkeeping. Above it the least recently read documents are
  /// evicted to the journal; if that is not enough, open() is refused.
  std::uint64_t max_memory_bytes = 4ull << 30;
  std::uint64_t max_memory_bytes_per_owner = 2ull << 30;
  /// What an owner's documents take in the journal. Above it open() is refused, and those that are open fail
  /// with their next commit.
  std::uint64_t max_journal_bytes_per_owner = std::numeric_limits<std::uint64_t>::max();
  std::size_t max_snapshots_per_owner = 1000;  ///< With a name; their bytes count as the documents' do.
  std::size_t batch = 0;  ///< Blocks of different documents in one launch; 0: as the model likes.
  /// Commit after so many blocks of a document, or after so long, whichever comes first. Its states are
  /// committed after so many blocks only: fewer are cheaper to read again than states are to write.
  int commit_blocks = 16;
  std::chrono::milliseconds commit_interval{2000};
  std::chrono::hours keep_finished{24};      ///< How long outputs of finished documents can be attached to.
  std::chrono::hours keep_waiting{24 * 30};  ///< How long a document that is not resumed is kept.
  /// Called on the engine's thread when the journal can no longer be written (the reason), and when it can
  /// again (an empty text).
  std::function<void(const std::string& error)> journal_trouble = {};
  // Replaced by simulations: the clock, and the identifiers of new documents.
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
  std::function<DocumentId()> new_id = random_document_id;
};

/// Model, vocabulary and plugins. A document keeps the revision that it was opened with. Documents of several
/// are read side by side.
struct Revision {
  std::shared_ptr<BlockModel> model;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::shared_ptr<const PluginRegistry> plugins;
  std::string name = {};    ///< Of the model among those that documents can ask for.
  double load_seconds = 0;  ///< That loading took.
};

class Engine {
 public:
  /// Throws Error(kJournal) if the journal cannot be opened, Error(kModel) if model and vocabulary do not
  /// match.
  Engine(Revision revision, EngineOptions options);
  /// Opens the journal first, then calls `load`, which may be slow. Throws what `load` throws.
  Engine(const std::function<Revision()>& load, EngineOptions options);
  /// Calls stop().
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// The revision for documents that name none.
  std::shared_ptr<const Revision> revision() const;
  /// Sets that revision; the old one is freed when its last document closes. Throws Error(kModel) as the
  /// constructor, without changing anything.
  void reload(Revision revision);

  /// Throws Error (unknown plugin, bad options, limits, shutting down, full disk, unknown or open document to
  /// resume, a text that begins with other bytes than were read). Waits until the document is in the journal.
  Opened open(DocumentRequest request, std::shared_ptr<DocumentListener> listener);
  /// The same without waiting: `accepted` is called with the result. If the journal refuses the document,
  /// on_failed is called as well.
  void open(DocumentRequest request, std::shared_ptr<DocumentListener> listener, AcceptFunction accepted);
  /// Appends bytes. `room` is called once, on any thread, when more may be appended; this is the
  /// backpressure. Throws Error (unknown, ended, or above the limit on a document's bytes, which also fails
  /// the document).
  void append(const DocumentId& id, std::string bytes, std::function<void()> room);
  void end(const DocumentId& id);
  /// Fails an open document with `reason` after at most one block; its outputs are kept. Does not wait for
  /// the disk. Returns false if the document is not open here.
  bool cancel(const DocumentId& id, const Error& reason);
  /// The same for a document that waits to be resumed; no effect on one that has ended. Throws Error
  /// (unknown, open here, journal).
  void cancel_waiting(const DocumentId& id, const Error& reason);
  /// The journal forgets it, with its outputs. Throws Error (unknown, open here).
  void remove(const DocumentId& id);

  /// Makes a snapshot of an open document when the bytes appended so far have been read. Throws Error
  /// (unknown, ended, limits).
  void snapshot(const DocumentId& id, SnapshotRequest request, SnapshotFunction done);
  std::vector<SnapshotInfo> snapshots(std::uint32_t owner) const;  ///< By name.
  /// This and the next two throw Error(kSnapshotUnknown).
  SnapshotInfo find_snapshot(std::uint32_t owner, const std::string& name) const;
  /// Documents that go on from it are not affected.
  void remove_snapshot(std::uint32_t owner, const std::string& name);
  /// As a file, which has the same bytes each time: docs/snapshots.md.
  std::string export_snapshot(std::uint32_t owner, const std::string& name) const;
  /// Makes a snapshot of such a file. An empty name is the file's. Throws Error (damaged, of another
  /// checkpoint than `revision`'s, limits). `revision` null: the engine's own.
  SnapshotInfo import_snapshot(std::uint32_t owner, std::string_view file, SnapshotRequest request,
                               std::shared_ptr<const Revision> revision = nullptr);
  /// Counts bytes that a caller keeps for an owner as buffered, until the result is destroyed. Throws
  /// LimitError.
  std::shared_ptr<void> charge_buffered(std::uint32_t owner, std::size_t bytes);

  DocumentStatus status(const DocumentId& id) const;  ///< Throws Error(kDocumentUnknown).
  /// The point at which a waiting document would be resumed. Throws Error (unknown, open, ended).
  Opened resume_point(const DocumentId& id) const;
  std::vector<DocumentStatus> list(const ListRequest& request) const;  ///< Newest first.
  /// At most `limit` outputs of an open or finished document, from a sequence number on.
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  /// Replays outputs from `from` on to the listener, then delivers new ones. An earlier listener gets
  /// on_failed with kDocumentState and nothing more.
  void attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener);
  EngineStats stats() const;
  /// Refuses new documents, waits up to `time` until the open ones are done, and commits the rest. Returns
  /// true if all were done.
  bool drain(std::chrono::milliseconds time);
  /// Commits the open documents and ends the engine's thread; what is called later has no effect on
  /// documents.
  void stop();

 private:
  void run();

  std::unique_ptr<class EngineCore> core_;
  std::thread thread_;
};

}  // namespace unroll
