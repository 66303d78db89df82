// The engine without its thread: it puts the parts in sequence. What anyone may ask of it is in
// engine_core.cc; one round of the work in engine_round.cc (which blocks are next), engine_blocks.cc (model
// and plugins) and engine_commit.cc (commits, and what follows from them). The parts: FairQueue and Timers
// (whose block is next), CommitSchedule (what is committed when), ResidentDocuments (what is in memory),
// UsageByOwner (limits), DocumentReader (one document's state), Journal (the disk). Time, disk, model and
// listeners come from outside, so that a simulation can drive rounds, crashes and faults from one seed.
#pragma once

#include <condition_variable>
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

  // Any thread; as Engine's.
  Revision revision() const;
  void reload(Revision revision);
  /// Does not wait: as Engine's open() with `accepted`, which is not called if this throws.
  Opened open(DocumentRequest request, std::shared_ptr<DocumentListener> listener,
              AcceptFunction accepted = {});
  void append(const DocumentId& id, std::string bytes, std::function<void()> room);
  void end(const DocumentId& id);
  void cancel(const DocumentId& id, const Error& reason);
  DocumentStatus status(const DocumentId& id) const;
  Opened resume_point(const DocumentId& id) const;
  std::vector<DocumentStatus> list(const ListRequest& request) const;
  std::vector<Output> outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const;
  void attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener);
  EngineStats stats() const;
  bool drain(std::chrono::milliseconds time);
  /// wait_for_work() returns false from now on.
  void stop();

  // The engine's thread.
  /// Until round() has something to do, or stop(): then false.
  bool wait_for_work();
  /// When round() has something to do though nobody asks: a deadline, a commit that is due. Nullopt: not.
  std::optional<TimePoint> next_wake() const;
  /// Something to do now.
  bool has_work() const;
  /// At most one launch of blocks, and what else is due.
  void round();
  /// All that can be committed.
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
  DocumentStatus resumable(const DocumentId& id, std::uint32_t owner) const;
  void begin(OpenDocument& document, DocumentRequest& request);
  ResumePoint resume(OpenDocument& document, const DocumentRequest& request);
  void put_text(OpenDocument& document, std::string text) const;
  std::uint64_t fixed_bytes(const BlockModel& model) const;
  void reserve(const DocumentRequest& request, std::uint64_t fixed_bytes);
  void add_open(OpenDocumentPtr document, const DocumentRequest& request);
  void unreserve(const DocumentRequest& request, std::uint64_t fixed_bytes);
  void touch_locked(const OpenDocumentPtr& document);

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
  Filled fill(OpenDocument& document);
  bool take_bytes(OpenDocument& document);
  void wait_for_bytes(OpenDocument& document);
  void stop_flush_timer(OpenDocument& document);
  void release_stalled();

  // The engine's thread, engine_blocks.cc.
  double seconds_since(TimePoint begin) const {
    return std::chrono::duration<double>(options.now() - begin).count();
  }
  template <class Step>
  bool attempt(OpenDocument& document, ErrorCode otherwise, Step step);
  bool make_resident(OpenDocument& document);
  void read_blocks(Documents batch);
  void read_blocks_of(const Revision& revision, const Documents& batch);
  std::vector<BlockOutput> run_model(BlockModel& model, const Documents& batch,
                                     std::vector<BlockInput>& inputs);
  template <class Begin>
  void call_plugins(OpenDocument& document, Begin begin);
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
  /// Whose states to commit: of those that have read enough for it, or of all.
  enum class Points { kDue, kAll };
  Commit make_commit(OpenDocument& document, Points points);
  void commit(const Documents& documents, Points points = Points::kDue);
  void report_journal(const std::string& error);
  void after_commit(OpenDocument& document, const Commit& commit);
  void after_failed_commit(OpenDocument& document, const Error& error, bool disk_is_full);
  void deliver(OpenDocument& document, const std::vector<Output>& outputs);
  void close(OpenDocument& document);
  void charge_resident(OpenDocument& document);
  void evict_over_limit();
  void evict(OpenDocument& document);
  void forget_expired();

  Journal journal_;
  UsageByOwner usage_;
  ResidentDocuments resident_;  ///< The engine's thread's; outlives the documents.

  mutable std::mutex mutex_;  ///< Guards what follows, and the part of OpenDocument that says so.
  std::condition_variable work_, idle_;
  std::unordered_map<DocumentId, OpenDocumentPtr> open_;
  std::set<DocumentId> resuming_;    ///< Those that open() is busy with.
  std::set<DocumentId> forgetting_;  ///< Those that the journal is about to forget.
  std::vector<OpenDocumentPtr> touched_;
  std::vector<Replay> replays_;
  std::shared_ptr<const Revision> revision_;  ///< That documents are opened with.
  EngineStats stats_;
  std::string disk_is_full_;  ///< Why nothing can be committed now; empty: it can.
  std::optional<std::chrono::steady_clock::time_point> round_began_;  ///< Nullopt: the thread waits.
  std::uint64_t next_number_ = 0;
  bool draining_ = false, stopping_ = false;

  // The engine's thread's.
  FairQueue queue_;
  Timers deadlines_, flushes_;
  std::set<OpenDocument*, ByNumber> exhausted_;  ///< To be asked for their last outputs.
  Documents awaiting_plugins_;                   ///< Whose plugins have not answered yet.
  TimePoint poll_at_{};                          ///< When to look if they have.
  CommitSchedule schedule_;
  StateWrites state_writes_;
  std::string journal_error_;  ///< Why its last write failed; empty: it did not.
  bool forget_failed_;         ///< It is tried again soon.
  TimePoint forget_at_;        ///< When to look for documents to forget.
  /// What awaits its plugins cannot be evicted: blocks are read on when there is memory again.
  bool memory_blocked_ = false;
  std::vector<OpenDocumentPtr> stalled_;
};

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

/// Adds the time until its end to a total of seconds.
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
