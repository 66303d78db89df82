// The engine without its thread: what anyone may ask of it (engine_core.cc), and one round of the work
// (engine_round.cc: whose blocks are next; engine_blocks.cc: model and plugins;
// engine_commit.cc: what is safely done). Time, disk, model and
// listeners come from outside, so that a simulation can drive rounds, crashes and faults from one seed.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <unordered_map>

#include "engine/document.h"
#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/timers.h"
#include "engine/turns.h"
#include "engine/usage.h"

namespace unroll {

using OpenDocumentPtr = std::shared_ptr<OpenDocument>;

class EngineCore {
 public:
  using TimePoint = OpenDocument::TimePoint;

  EngineCore(Revision revision, EngineOptions options);

  // Any thread; as Engine's.
  Revision revision() const;
  void reload(Revision revision);
  Opened open(DocumentRequest request, std::shared_ptr<DocumentListener> listener);
  void append(const DocumentId& id, std::string bytes, std::function<void()> room);
  void end(const DocumentId& id);
  void cancel(const DocumentId& id, const Error& reason);
  DocumentStatus status(const DocumentId& id) const;
  Opened resume_point(const DocumentId& id) const;
  std::vector<DocumentStatus> list(std::optional<std::uint32_t> owner) const;
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
  /// What was read since the last commit.
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

  // Any thread. Those that end in _locked, and find_open and require_open, with mutex_ held.
  OpenDocumentPtr find_open(const DocumentId& id) const;  ///< Null where it is not open here.
  OpenDocumentPtr require_open(const DocumentId& id) const;
  DocumentStatus resumable(const DocumentId& id, std::uint32_t owner) const;
  DocumentStatus begin(DocumentRequest& request);
  std::uint64_t fixed_bytes(const BlockModel& model) const;
  void reserve(const DocumentRequest& request, std::uint64_t fixed_bytes);
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
  void get_in_line(OpenDocument& document);
  Documents choose_batch();
  Filled fill(OpenDocument& document);
  bool take_bytes(OpenDocument& document);
  void wait_for_bytes(OpenDocument& document);
  void stop_flush_timer(OpenDocument& document);
  void release_stalled();

  // The engine's thread, engine_blocks.cc.
  bool make_resident(OpenDocument& document);
  void read_blocks(Documents batch);
  void read_blocks_of(const Revision& revision, const Documents& batch);
  std::vector<BlockOutput> run_model(BlockModel& model, const Documents& batch,
                                     std::vector<BlockInput>& inputs);
  template <class Begin>
  void call_plugins(OpenDocument& document, Begin begin);
  void serve_called();
  void end_call(OpenDocument& document);
  void behind_block(OpenDocument& document);
  void report_progress(OpenDocument& document);
  void finish_exhausted();

  // The engine's thread, engine_commit.cc.
  void update_status(OpenDocument& document);
  void fail(OpenDocument& document, const Error& error);
  void mark_failed(OpenDocument& document, const Error& error);
  void commit_due();
  Commit make_commit(OpenDocument& document);
  void commit(const Documents& documents);
  void tell(OpenDocument& document, const std::vector<Output>& outputs);
  void close(OpenDocument& document);
  void charge_resident(OpenDocument& document);
  void keep_to_memory();
  void put_away(OpenDocument& document);

  Journal journal_;

  mutable std::mutex mutex_;  ///< Guards what follows, and the part of OpenDocument that says so.
  std::condition_variable work_, idle_;
  std::unordered_map<DocumentId, OpenDocumentPtr> open_;
  std::set<DocumentId> resuming_;  ///< Those that open() is busy with.
  std::vector<OpenDocumentPtr> touched_;
  std::vector<Replay> replays_;
  std::shared_ptr<const Revision> revision_;  ///< That documents are opened with.
  UsageByOwner usage_;
  EngineStats stats_;
  std::optional<std::chrono::steady_clock::time_point> round_began_;  ///< Nullopt: the thread waits.
  std::uint64_t next_number_ = 0;
  bool draining_ = false, stopping_ = false;

  // The engine's thread's.
  Turns turns_;
  Timers deadlines_, flushes_;
  std::set<OpenDocument*, ByNumber> exhausted_;  ///< To be asked for their last words.
  Documents called_;                             ///< Whose plugins have not answered yet.
  Documents finished_;                           ///< To be committed as done.
  TimePoint look_at_{};                          ///< When to look whether they have.
  std::set<OpenDocument*, ByNumber> dirty_;      ///< Read from since their last commit.
  std::list<OpenDocument*> resident_;            ///< Read from the longest ago first.
  /// What waits for its plugins can't be put away: blocks are read on when there is memory again.
  bool held_up_ = false;
  std::vector<OpenDocumentPtr> stalled_;
  TimePoint last_commit_of_all_;  ///< An interval ago at first: what comes first is told at once.
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
