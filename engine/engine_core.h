// The engine without its thread: it sequences the parts. engine_core.cc has the public functions, but for
// engine_open.cc and engine_snapshots.cc; one round of work is in engine_round.cc (choosing blocks),
// engine_blocks.cc (model and plugins) and engine_commit.cc (commits and what follows). The parts: FairQueue
// and Timers (scheduling), CommitSchedule (when to commit), ResidentDocuments (what is in memory),
// UsageByOwner (limits), DocumentReader (one document's state), Journal (the disk). Time, disk, model and
// listeners are injected, so that a simulation can drive rounds, crashes and faults from one seed.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "engine/commit_schedule.h"
#include "engine/document.h"
#include "engine/engine.h"
#include "engine/fair_queue.h"
#include "engine/journal.h"
#include "engine/resident_documents.h"
#include "engine/state_writes.h"
#include "engine/timers.h"
#include "engine/usage.h"

namespace unroll {

using OpenDocumentPtr = std::shared_ptr<OpenDocument>;

class EngineCore {
 public:
  using TimePoint = OpenDocument::TimePoint;

  /// Opens the journal, then calls `load`.
  EngineCore(const std::function<Revision()>& load, EngineOptions options);
  EngineCore(Revision revision, EngineOptions options);

  // Any thread; as in Engine.
  std::shared_ptr<const Revision> revision() const;
  void reload(Revision revision);
  /// As Engine::open() with `accepted`, which is not called if this throws.
  Opened open(DocumentRequest request, std::shared_ptr<DocumentListener> listener,
              AcceptFunction accepted = {});
  void append(const DocumentId& id, std::string bytes, std::function<void()> room);
  void end(const DocumentId& id);
  bool cancel(const DocumentId& id, const Error& reason);
  void cancel_waiting(const DocumentId& id, const Error& reason);
  void remove(const DocumentId& id);
  void snapshot(const DocumentId& id, SnapshotRequest request, SnapshotFunction done);
  std::vector<SnapshotInfo> snapshots(std::uint32_t owner) const;
  SnapshotInfo find_snapshot(std::uint32_t owner, const std::string& name) const;
  void remove_snapshot(std::uint32_t owner, const std::string& name);
  std::string export_snapshot(std::uint32_t owner, const std::string& name) const;
  SnapshotInfo import_snapshot(std::uint32_t owner, std::string_view file, SnapshotRequest request,
                               std::shared_ptr<const Revision> revision);
  std::shared_ptr<void> charge_buffered(std::uint32_t owner, std::size_t bytes);
  DocumentStatus status(const DocumentId& id) const;
  Opened resume_point(const DocumentId& id) const;
  std::vector<DocumentStatus> list(const ListRequest& request) const;
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  void attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener);
  EngineStats stats() const;
  bool drain(std::chrono::milliseconds time);
  /// Makes wait_for_work() return false.
  void stop();

  // The engine's thread.
  /// Waits until round() has something to do; returns false after stop().
  bool wait_for_work();
  /// When round() has something to do without new events: a deadline or a due commit. Nullopt: never.
  std::optional<TimePoint> next_wake() const;
  /// Whether there is something to do now.
  bool has_work() const;
  /// At most one launch of blocks, and other due work.
  void round();
  /// Commits all that can be committed.
  void commit_all();

  const EngineOptions options;

 private:
  using Documents = std::vector<OpenDocument*>;
  using Rooms = std::vector<std::function<void()>>;
  enum class Filled { kBlock, kWaits, kExhausted };
  struct Replay {
    DocumentStatus status;
    std::uint64_t from;
    std::shared_ptr<DocumentListener> listener;
  };
  struct Replaced {
    std::shared_ptr<DocumentListener> listener;
    DocumentStatus status;
  };

  // Any thread. Those that end in _locked, and find_open, with mutex_ held.
  OpenDocumentPtr find_open(const DocumentId& id) const;  ///< Null if it is not open here.
  Error not_open(const DocumentId& id) const;
  LimitError too_long(const DocumentId& id) const;
  LimitError too_much_in_journal(const DocumentId& id) const;
  bool takes_too_much_of_journal(std::uint32_t owner) const;
  std::uint64_t fixed_bytes(const BlockModel& model) const;
  void touch_locked(const OpenDocumentPtr& document);
  /// Calls `work` with the status of a document that is not open; nobody can resume it meanwhile.
  template <class Work>
  void with_closed(const DocumentId& id, Work work);

  // Any thread, engine_open.cc.
  DocumentStatus resumable(const DocumentId& id, std::uint32_t owner) const;
  void begin(OpenDocument& document, DocumentRequest& request);
  void resume(OpenDocument& document, const DocumentRequest& request, Opened& opened);
  void put_text(OpenDocument& document, std::string text, const Opened& opened) const;
  void reserve(const DocumentRequest& request, std::uint64_t fixed_bytes);
  void unreserve(const DocumentRequest& request, std::uint64_t fixed_bytes);
  void add_open(OpenDocumentPtr document, const DocumentRequest& request);

  // Any thread, engine_snapshots.cc.
  std::shared_ptr<void> pin(std::int64_t number);  ///< With snapshots_mutex_ held.
  Snapshot find_origin(OpenDocument& document, const DocumentRequest& request);
  ModelStatePtr state_of(const Snapshot& snapshot, const Revision& revision);
  void go_on(OpenDocument& document, const Snapshot& origin, ResumePoint point, PrefixDigest read,
             Opened& opened);
  void want_end_snapshot(OpenDocument& document, const SnapshotRequest& request) const;
  void check_snapshot(std::uint32_t owner, const std::string& name) const;
  // The engine's thread, engine_snapshots.cc.
  static bool wants_snapshot_locked(const OpenDocument& document);
  void make_snapshots(OpenDocument& document);
  void answer_snapshots(std::vector<WantedSnapshot> snapshots, std::exception_ptr failure);

  // The engine's thread, engine_round.cc.
  bool has_work_locked() const;
  void serve_touched();
  void introduce(OpenDocument& document);
  void attach_locked(OpenDocument& document, std::vector<Replay>& replays, std::vector<Replaced>& replaced);
  void replay(const Replay& replay);
  void expire_deadlines();
  void wake_flushes();
  void make_ready(OpenDocument& document);
  void enqueue(OpenDocument& document);
  Documents choose_batch();
  std::size_t largest_batch(const BlockModel& model) const;
  Filled fill(OpenDocument& document);
  bool take_bytes(OpenDocument& document);
  void wait_for_bytes(OpenDocument& document);
  void stop_flush_timer(OpenDocument& document);
  void release_stalled();

  /// Takes one step of the document's work; a step that throws fails the document. False: it failed.
  template <class Step>
  bool attempt(OpenDocument& document, ErrorCode otherwise, Step step);

  // The engine's thread, engine_blocks.cc.
  double seconds_since(TimePoint begin) const {
    return std::chrono::duration<double>(options.now() - begin).count();
  }
  bool make_resident(OpenDocument& document);
  void restore(OpenDocument& document);
  void read_blocks(Documents batch);
  std::vector<BlockOutput> run_model(BlockModel& model, const Documents& batch,
                                     std::vector<BlockInput>& inputs);
  template <class Begin>
  void begin_call(OpenDocument& document, Documents& called, Begin begin);
  void end_calls(const Documents& called);
  bool poll_plugins();
  void end_call(OpenDocument& document);
  void after_block(OpenDocument& document);
  void report_progress(OpenDocument& document);
  void finish_exhausted();

  // The engine's thread, engine_commit.cc.
  void update_status(OpenDocument& document);
  void fail(OpenDocument& document, const Error& error);
  void mark_failed(OpenDocument& document, const Error& error);
  bool is_idle() const;
  void commit_due();
  /// Which states to commit: of documents that have read enough blocks, or of all.
  enum class Points { kDue, kAll };
  void fail_over_journal_limit(const Documents& documents);
  bool is_point_due(const OpenDocument& document) const;
  Commit make_commit(OpenDocument& document, Points points);
  void commit(const Documents& documents, Points points = Points::kDue);
  void report_journal(const std::string& error);
  void after_commit(OpenDocument& document, const Commit& commit);
  void after_failed_commit(OpenDocument& document, const Error& error, bool disk_is_full);
  void deliver(OpenDocument& document, const std::vector<Output>& outputs);
  void close(OpenDocument& document);
  void charge_resident(OpenDocument& document);
  void evict_over_limit();
  void block_over_limit();
  void forget_latest_state();
  void evict(OpenDocument& document);
  void forget_expired();

  Journal journal_;
  const std::shared_ptr<UsageByOwner> usage_;  ///< What charge_buffered() returned may outlive this.
  ResidentDocuments resident_;                 ///< For the engine's thread; outlives the documents.

  std::mutex snapshots_mutex_;  ///< Guards the next four. Taken before mutex_ and the journal's.
  std::multiset<std::int64_t>
      pins_;  ///< Snapshots from which documents go on that are not in the journal yet.
  std::map<std::pair<std::int64_t, const BlockModel*>, std::weak_ptr<const ModelState>> snapshot_states_;
  ModelStatePtr latest_state_;  ///< That state_of() returned, for documents that come one after another.
  bool latest_state_is_used_ = false;  ///< Since forget_expired().

  mutable std::mutex mutex_;  ///< Guards the members below, and part of OpenDocument.
  std::condition_variable work_, idle_;
  std::unordered_map<DocumentId, OpenDocumentPtr> open_;
  std::set<DocumentId> resuming_;    ///< Being resumed by open(), or used by with_closed().
  std::set<DocumentId> forgetting_;  ///< Being deleted from the journal.
  std::vector<OpenDocumentPtr> touched_;
  std::vector<Replay> replays_;
  std::shared_ptr<const Revision> revision_;  ///< For documents that name none.
  EngineStats stats_;
  std::string disk_is_full_;  ///< Why nothing can be committed; empty if it can.
  std::optional<std::chrono::steady_clock::time_point> round_began_;  ///< Nullopt: the thread is idle.
  std::uint64_t next_number_ = 0;
  bool draining_ = false, stopping_ = false;

  // For the engine's thread only.
  FairQueue queue_;
  Timers deadlines_, flushes_;
  std::set<OpenDocument*, ByNumber> exhausted_;  ///< Read to the end; finish() is to be called.
  Documents awaiting_plugins_;                   ///< Whose plugins have not answered yet.
  TimePoint poll_at_{};                          ///< When to poll them.
  CommitSchedule schedule_;
  StateWrites state_writes_;
  std::string journal_error_;  ///< Why the last write failed; empty if it did not.
  bool forget_failed_;         ///< Retry soon.
  TimePoint forget_at_;        ///< When to check for expired documents.
  /// Nothing can be evicted while the disk is full: reading continues when there is memory again. Documents
  /// that await their plugins cannot be evicted either: then the queue blocks their owners alone.
  bool memory_blocked_ = false;
  std::vector<OpenDocumentPtr> stalled_;
};

Error unknown_document(const DocumentId& id);
Error being_read(const DocumentId& id);

template <class Step>
bool EngineCore::attempt(OpenDocument& document, ErrorCode otherwise, Step step) {
  const auto text = [&](const std::exception& error) {
    return "document " + document.status.id + ": " + error.what();
  };
  try {
    step();
    return true;
  } catch (const Error& error) {
    fail(document, Error(error.code, text(error)));
  } catch (const std::exception& error) {
    fail(document, Error(otherwise, text(error)));
  }
  return false;
}

/// Calls what it is given when it goes.
template <class Call>
class Finally {
 public:
  explicit Finally(Call call) : call_(std::move(call)) {}
  ~Finally() { call_(); }
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;

 private:
  Call call_;
};

/// Adds its lifetime to a total of seconds.
class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total) {}
  ~Stopwatch() { total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& total_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace unroll
