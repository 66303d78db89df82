// An open document: what the engine's thread knows of it, and what other threads may touch.
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

struct OpenDocument {
  using TimePoint = std::chrono::steady_clock::time_point;

  // Of the engine's thread.
  std::unique_ptr<DocumentReader> reader;
  bool introduced = false;  ///< The engine's thread knows of it.
  TimePoint started, last_progress{};
  std::uint64_t tokens_before = 0;  ///< Of the run that this one goes on from.
  int blocks_since_commit = 0, blocks_since_point = 0;
  double seconds_since_point = 0;  ///< Of the model, for these blocks: its share of each launch.
  std::optional<Opening> opening;  ///< Of one that the journal does not know yet.
  /// Called once: it is in the journal, or why it is not, and then it is closed.
  AcceptFunction accepted;
  double pass = 0;                    ///< See fair_queue.h.
  TimePoint queued_since{};           ///< Since when it waits to be scheduled.
  bool awaiting_plugins = false;      ///< Its plugins have not answered yet.
  std::optional<TimePoint> flush_at;  ///< When a block is read that is not full.
  ResidentDocuments::Place residence;

  // Constant.
  std::uint64_t number = 0;  ///< In order of opening.
  std::shared_ptr<const Revision> revision;
  std::optional<TimePoint> deadline;
  std::optional<std::chrono::milliseconds> flush_after;
  std::optional<std::uint64_t> keep_outputs;

  // Under the core's mutex.
  DocumentStatus status;
  std::shared_ptr<DocumentListener> listener;
  std::deque<std::string> inbox;
  std::size_t inbox_taken = 0;  ///< Bytes of the first piece.
  std::size_t inbox_bytes = 0;
  std::uint64_t received = 0;  ///< Bytes appended, those before a resume point included.
  bool ended = false;
  bool in_journal = false;
  bool touched = false;                        ///< Waits for the engine's thread to look at it.
  bool stalled = false;                        ///< Its writers wait for all documents' buffers.
  std::vector<std::function<void()>> waiting;  ///< Writers to be called when there is room.
  std::optional<Error> cancelled;
  std::optional<std::pair<std::uint64_t, std::shared_ptr<DocumentListener>>> attaching;
};

/// Until its end is committed, and when it is resumed, a document is open, whatever else its status says.
DocumentStatus as_open(DocumentStatus status);

/// In order of opening.
struct ByNumber {
  bool operator()(const OpenDocument* a, const OpenDocument* b) const { return a->number < b->number; }
};

}  // namespace unroll
