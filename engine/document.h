// An open document: the engine thread's state of it, and the part that other threads may access.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/document_reader.h"
#include "engine/engine.h"
#include "engine/resident_documents.h"

namespace unroll {

/// A snapshot that is wanted, and then made.
struct WantedSnapshot {
  std::optional<std::uint64_t> at;  ///< When so many bytes have been taken; nullopt: at the document's end.
  SnapshotRequest request;
  SnapshotFunction done;                 ///< May be empty.
  std::shared_ptr<const Snapshot> made;  ///< To be committed.
};

struct OpenDocument {
  using TimePoint = std::chrono::steady_clock::time_point;

  // For the engine's thread only.
  std::unique_ptr<DocumentReader> reader;
  bool introduced = false;  ///< The engine's thread knows of it.
  TimePoint started, last_progress{};
  std::uint64_t tokens_before = 0;  ///< Read before it was resumed.
  int blocks_since_commit = 0, blocks_since_point = 0;
  double seconds_since_point = 0;  ///< Of the model, for these blocks: its share of each launch.
  std::optional<Opening> opening;  ///< Set until the document is in the journal.
  /// Called once: the document is in the journal; or with the error, after which it is closed.
  AcceptFunction accepted;
  double pass = 0;                    ///< See fair_queue.h.
  TimePoint queued_since{};           ///< When it began to wait to be scheduled.
  bool awaiting_plugins = false;      ///< Its plugins have not answered yet.
  std::optional<TimePoint> flush_at;  ///< When a partial block is read.
  ResidentDocuments::Place residence;
  std::uint64_t taken = 0;                ///< Bytes that the reader was given, counted as `received`.
  std::vector<WantedSnapshot> snapshots;  ///< Made, and not committed yet.
  std::shared_ptr<void> pinned_origin;    ///< Until the document is in the journal.

  // Constant.
  std::uint64_t number = 0;  ///< In order of opening.
  std::shared_ptr<const Revision> revision;
  std::optional<TimePoint> deadline;
  std::optional<std::chrono::milliseconds> flush_after;
  std::optional<std::uint64_t> keep_outputs;
  bool predict_next = false;
  std::optional<std::int64_t> origin;  ///< Number of the snapshot that it goes on from.

  // Under the core's mutex.
  DocumentStatus status;
  std::shared_ptr<DocumentListener> listener;
  std::deque<std::string> inbox;
  std::size_t inbox_taken = 0;  ///< Consumed bytes of the first piece.
  std::size_t inbox_bytes = 0;
  std::uint64_t received = 0;  ///< Bytes appended, including those before a resume point.
  bool ended = false;
  bool in_journal = false;
  bool touched = false;                        ///< The engine's thread must process it.
  bool stalled = false;                        ///< Its writers wait for room in the buffers of all documents.
  std::vector<std::function<void()>> waiting;  ///< Callbacks of writers that wait for room.
  std::optional<Error> cancelled;
  std::vector<WantedSnapshot> wanted_snapshots;
  std::optional<std::pair<std::uint64_t, std::shared_ptr<DocumentListener>>> attaching;
};

/// A document is open until its end is committed, and while it is resumed, whatever its other fields are.
DocumentStatus as_open(DocumentStatus status);

/// In order of opening.
struct ByNumber {
  bool operator()(const OpenDocument* a, const OpenDocument* b) const { return a->number < b->number; }
};

}  // namespace unroll
