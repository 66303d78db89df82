// engine/: whose block is next, and what is safely done. FairQueue documents (bytes arriving in any pieces)
// into blocks, runs them through the model and the plugins, and commits position, states and outputs together
// in a journal. One thread of the engine's own runs model, plugins and journal; every public function may be
// called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/error.h"
#include "engine/stats.h"
#include "model/block_model.h"
#include "plugins/host.h"
#include "tokenizer/tokenizer.h"

namespace unroll {

/// 48 bits of time, so that identifiers grow and the journal's index of them is written at its end, and 80
/// random bits, in hex: it cannot be guessed by another peer.
DocumentId random_document_id();

struct DocumentRequest {
  std::vector<PluginRequest> plugins;  ///< One or more, of different names.
  std::string name;                    ///< For people: shown in lists and errors.
  std::uint32_t owner = 0;             ///< The peer's uid; others see nothing of the document.
  int priority = 0;  ///< -10 to 10; each step up is a 1.25 times larger share of its owner's turns.
  std::optional<std::chrono::milliseconds> deadline;  ///< From open to done.
  std::optional<std::uint64_t> total_bytes;           ///< If known: for progress.
  /// Blocks are read when they are full, and what is left after so long without new bytes, too: for documents
  /// that grow slowly, whose readers want to hear of them. Changes no token's numbers, only when they come.
  std::optional<std::chrono::milliseconds> flush_after;
  /// How many of the newest outputs the journal keeps while the document is open: for one without an end,
  /// whose reader takes them as they come. Nullopt: all.
  std::optional<std::uint64_t> keep_outputs;
  /// Kept with the document for whoever feeds it: where its bytes can be read again. Not looked at here.
  std::string source;
  std::optional<DocumentId> resume;  ///< Go on with this document where it was last committed.
  /// The whole document, if it is at hand: open() appends it, from the resume point on, and ends it.
  std::optional<std::string> text;
};

struct Opened {
  DocumentId id;
  std::uint64_t resume_bytes = 0;   ///< Append the document's bytes from this offset on; 0 for a new one.
  std::uint64_t next_sequence = 0;  ///< Sequence number of the first output to come.
};

/// Hears, on the engine's thread or open()'s, what came of opening a document: an exception, or null.
using AcceptFunction = std::function<void(std::exception_ptr failure, const Opened& opened)>;

/// Which documents to list.
struct ListRequest {
  std::optional<std::uint32_t> owner = {};  ///< Nullopt: everybody's.
  std::size_t limit = 1000;                 ///< The newest so many,
  std::optional<DocumentId> before = {};    ///< of those that were opened before this one.
  bool open_only = false;
};

/// Hears of one document. Called on the engine's thread: hand over and return, never block. A listener that
/// throws fails its document.
class DocumentListener {
 public:
  virtual ~DocumentListener() = default;
  virtual void on_output(const DocumentId& id, const Output& output) = 0;
  virtual void on_progress(const DocumentStatus& status) = 0;  ///< At most a few times a second.
  virtual void on_done(const DocumentStatus& status) = 0;      ///< The last call, or:
  virtual void on_failed(const DocumentStatus& status) = 0;    ///< the last call.
};

struct EngineOptions {
  std::filesystem::path journal{};     ///< SQLite file; empty: in memory (nothing outlives the process).
  std::string journal_disk{};          ///< SQLite VFS that holds it; empty: the system's.
  std::size_t max_documents = 10'000;  ///< Open at once.
  std::size_t max_documents_per_owner = 10'000;
  std::uint64_t max_document_bytes = 1ull << 40;
  std::size_t input_buffer_bytes = 256 * 1024;  ///< Per document; append's callback waits above it.
  /// Accepted and not yet read, over all documents: append's callbacks wait above it, open() is refused.
  std::uint64_t max_buffered_bytes = 1ull << 30;
  std::uint64_t max_buffered_bytes_per_owner = 1ull << 28;
  /// Memory of open documents: states, buffers, bookkeeping. Above it those that were read the longest ago
  /// are put away into the journal until their turn; open() is refused where that is not enough.
  std::uint64_t max_memory_bytes = 4ull << 30;
  std::uint64_t max_memory_bytes_per_owner = 2ull << 30;
  std::size_t batch = 0;  ///< Blocks of different documents in one launch; 0: as the model likes.
  /// Commit after so many blocks of a document, or after so long, whichever comes first. Its states are
  /// committed after so many blocks only: fewer are cheaper to read again than states are to write.
  int commit_blocks = 16;
  std::chrono::milliseconds commit_interval{2000};
  std::chrono::hours keep_finished{24};      ///< How long outputs of finished documents can be attached to.
  std::chrono::hours keep_waiting{24 * 30};  ///< How long a document that nobody resumes is kept.
  /// Hears, on the engine's thread, when the journal cannot be written any more (why), and when it can again
  /// (empty).
  std::function<void(const std::string& error)> journal_trouble = {};
  // A simulation has its own: what time it is, what a new document is called.
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
  std::function<DocumentId()> new_id = random_document_id;
};

/// What documents are read with. A document keeps the revision that it was opened with, whatever comes after.
struct Revision {
  std::shared_ptr<BlockModel> model;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::shared_ptr<const PluginRegistry> plugins;
};

class Engine {
 public:
  /// Throws Error(kJournal) where the journal cannot be opened, Error(kModel) where model and vocabulary do
  /// not belong together.
  Engine(Revision revision, EngineOptions options);
  /// Opens the journal first, and then calls `load`, which may take its time. Throws what it throws.
  Engine(const std::function<Revision()>& load, EngineOptions options);
  /// Commits what is open and stops.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// What new documents are read with.
  Revision revision() const;
  /// Reads those that are opened from now on with another one; the old one is let go with its last document.
  /// Throws Error(kModel) as the constructor, and nothing has changed.
  void reload(Revision revision);

  /// Throws Error (unknown plugin, bad options, limits, shutting down, full disk, unknown or open document to
  /// resume, text shorter than what was read). Waits until the document is in the journal.
  Opened open(DocumentRequest request, std::shared_ptr<DocumentListener> listener);
  /// The same, and does not wait: `accepted` is called with what came of it. If the journal refuses the
  /// document, the listener hears on_failed, too.
  void open(DocumentRequest request, std::shared_ptr<DocumentListener> listener, AcceptFunction accepted);
  /// Takes the next bytes. `room` is called once (on any thread) when more may come: that is the
  /// backpressure. Throws Error (unknown, ended, over the limit on a document's bytes: which fails the
  /// document, too).
  void append(const DocumentId& id, std::string bytes, std::function<void()> room);
  void end(const DocumentId& id);
  /// The document fails with `reason` within a block; what was emitted stays. No error if it is finished
  /// already.
  void cancel(const DocumentId& id, const Error& reason);

  DocumentStatus status(const DocumentId& id) const;  ///< Throws Error(kDocumentUnknown).
  /// If a document that waits to be resumed goes on. Throws Error (unknown, open here, ended).
  Opened resume_point(const DocumentId& id) const;
  std::vector<DocumentStatus> list(const ListRequest& request) const;  ///< Newest first.
  /// Outputs of a document from a sequence number on, open or finished, at most `limit` of them.
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  /// Replays outputs from `from` on to the listener, then goes on live. An earlier listener hears on_failed
  /// with kDocumentState, and no more.
  void attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener);
  EngineStats stats() const;
  /// No new documents; waits until the open ones are done, at most `time`; commits what is left. True if all
  /// were done.
  bool drain(std::chrono::milliseconds time);

 private:
  void run();

  std::unique_ptr<class EngineCore> core_;
  std::thread thread_;
};

}  // namespace unroll
