// Commits and what follows from them: outputs are delivered, documents end, states are evicted. Everything
// here runs on the engine's thread.
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "engine/engine_core.h"

namespace unroll {
namespace {

constexpr std::chrono::seconds kForgetOften{1}, kForgetSeldom{60};
constexpr std::size_t kForgetAtOnce = 500;

}  // namespace

/// With mutex_ held. `outputs` counts committed ones only: deliver() moves it.
void EngineCore::update_status(OpenDocument& document) {
  auto& status = document.status;
  status.bytes = document.reader->bytes();
  status.tokens = document.reader->tokens();
  const std::chrono::duration<double> time = options.now() - document.started;
  status.tokens_per_second =
      time.count() > 0 ? static_cast<double>(status.tokens - document.tokens_before) / time.count() : 0;
}

/// The work up to the last whole block is committed with the failure, so that the document can be
/// resumed.
void EngineCore::fail(OpenDocument& document, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (document.status.phase != DocumentPhase::kOpen) return;
  }
  if (document.awaiting_plugins) {
    // Its plugins are between two states: it ends in the state of its last commit.
    document.reader->roll_back();
    const std::lock_guard lock(mutex_);
    update_status(document);
  }
  mark_failed(document, error);
  commit({&document});
}

void EngineCore::mark_failed(OpenDocument& document, const Error& error) {
  const std::lock_guard lock(mutex_);
  document.status.phase = DocumentPhase::kFailed;
  document.status.error_code = error.code;
  document.status.error = error.what();
}

/// Whether no document has a block that could be read now.
bool EngineCore::is_idle() const {
  return queue_.empty() &&
         std::ranges::all_of(exhausted_, [&](const auto* document) { return queue_.is_blocked(*document); });
}

void EngineCore::commit_due() {
  const auto documents = schedule_.due(is_idle());
  commit(documents);
  if (documents.empty() && !schedule_.blocked()) {
    const std::lock_guard lock(mutex_);  // there is nothing to retry with; the next document will
    disk_is_full_.clear();
  }
}

void EngineCore::commit_all() {
  commit(schedule_.everything());
}

/// One that the journal does not know was checked when it was opened.
void EngineCore::fail_over_journal_limit(const Documents& documents) {
  std::map<std::uint32_t, bool> over;
  for (auto* document : documents) {
    const auto& status = document->status;
    if (status.phase != DocumentPhase::kOpen || document->opening || document->awaiting_plugins) continue;
    const auto [owner, is_new] = over.try_emplace(status.owner);
    if (is_new) owner->second = takes_too_much_of_journal(status.owner);
    if (owner->second) mark_failed(*document, too_much_in_journal(status.id));
  }
}

/// It has read so much since its last point that writing another one is worth it.
bool EngineCore::is_point_due(const OpenDocument& document) const {
  return document.blocks_since_point >= options.commit_blocks &&
         state_writes_.is_worth(document.revision->model->info().state_bytes, document.seconds_since_point);
}

/// What a document adds to the journal. A plugin that cannot save its state fails its document here.
Commit EngineCore::make_commit(OpenDocument& document, Points points) {
  auto& reader = *document.reader;
  Commit commit;
  commit.opening = document.opening;
  if (journal_.durable() && can_resume(document.status)) {
    commit.resume = Commit::Resume::kKeep;
    const bool worth = document.flush_after || is_point_due(document);
    const bool due = points == Points::kAll || (worth && !reader.is_checking());
    if (due && !reader.point_is_current()) {
      try {
        commit.point = reader.resume_point();
        commit.resume = Commit::Resume::kNew;
        charge_resident(document);
      } catch (const std::exception& error) {
        mark_failed(document, Error(ErrorCode::kPluginFailed, error.what()));
        commit.resume = Commit::Resume::kDrop;
      }
    }
  }
  for (const auto& snapshot : document.snapshots) commit.snapshots.push_back(snapshot.made);
  commit.read = reader.read_prefix();
  commit.outputs = reader.uncommitted();
  commit.status = document.status;
  commit.status.outputs = reader.sequence();
  if (document.keep_outputs && *document.keep_outputs < reader.sequence()) {
    commit.forget_before = reader.sequence() - *document.keep_outputs;
  }
  return commit;
}

void EngineCore::commit(const Documents& documents, Points points) {
  if (documents.empty()) return;
  double seconds = 0;
  const auto start = options.now();
  std::vector<Commit> commits;
  std::optional<Error> failure;
  bool disk_is_full = false;
  try {
    const Stopwatch watch(seconds);
    fail_over_journal_limit(documents);
    for (auto* document : documents) commits.push_back(make_commit(*document, points));
    journal_.commit(commits);
    schedule_.disk_has_room();
    std::size_t state_bytes = 0;
    for (const auto& each : commits) state_bytes += each.point.model_state.size();
    state_writes_.add(state_bytes, seconds_since(start));
  } catch (const NoRoomError& error) {
    failure = error;
    disk_is_full = true;
    schedule_.disk_is_full();
  } catch (const Error& error) {
    failure = error;
  }
  {
    const std::lock_guard lock(mutex_);  // before listeners are called
    ++(failure ? stats_.journal_errors : stats_.commits);
    stats_.journal_blocked = disk_is_full;
    disk_is_full_ = disk_is_full ? failure->what() : "";
    stats_.journal_seconds += seconds;
    stats_.commit.add(seconds);
  }
  report_journal(failure ? failure->what() : "");
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (failure) {
      after_failed_commit(*documents[i], *failure, disk_is_full);
    } else {
      after_commit(*documents[i], commits[i]);
    }
  }
}

/// Calls the callback once for each change.
void EngineCore::report_journal(const std::string& error) {
  if (error.empty() == journal_error_.empty()) return;
  journal_error_ = error;
  if (options.journal_trouble) options.journal_trouble(error);
}

void EngineCore::after_commit(OpenDocument& document, const Commit& commit) {
  document.blocks_since_commit = 0;
  if (commit.resume == Commit::Resume::kNew) {
    document.blocks_since_point = 0;
    document.seconds_since_point = 0;
  }
  document.opening.reset();
  document.pinned_origin.reset();
  answer_snapshots(std::exchange(document.snapshots, {}), nullptr);
  schedule_.remove(document);
  document.reader->committed(commit.resume == Commit::Resume::kNew, commit.read.value_or(PrefixDigest()));
  if (const auto accepted = std::exchange(document.accepted, {}))
    accepted(nullptr, {document.status.id, 0, 0});
  deliver(document, document.reader->take_uncommitted());
  if (document.status.phase != DocumentPhase::kOpen) close(document);
}

/// Documents that are not in the journal are refused. If the disk is full, the others wait until it has
/// space; a failed one ends without its last outputs, and can be resumed from its last commit.
void EngineCore::after_failed_commit(OpenDocument& document, const Error& error, bool disk_is_full) {
  const Error named(error.code, "document " + document.status.id + ": " + error.what());
  if (document.opening) {
    mark_failed(document, named);
    if (const auto accepted = std::exchange(document.accepted, {}))
      accepted(std::make_exception_ptr(named), {});
    close(document);
  } else if (document.status.phase == DocumentPhase::kFailed) {
    close(document);
  } else if (!disk_is_full) {
    mark_failed(document, named);
    close(document);
  }
}

void EngineCore::deliver(OpenDocument& document, const std::vector<Output>& outputs) {
  std::shared_ptr<DocumentListener> listener;
  {
    const std::lock_guard lock(mutex_);
    document.in_journal = true;
    document.status.outputs = document.reader->sequence();
    stats_.outputs += outputs.size();
    listener = document.listener;
  }
  if (!listener) return;
  try {
    for (const auto& output : outputs) listener->on_output(document.status.id, output);
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (!document.cancelled) document.cancelled = Error(ErrorCode::kInternal, error.what());
    touch_locked(open_.at(document.status.id));
  }
}

/// The document has ended: notifies its listener and closes it.
void EngineCore::close(OpenDocument& document) {
  queue_.remove(document);
  if (document.deadline) deadlines_.remove(*document.deadline, document);
  stop_flush_timer(document);
  exhausted_.erase(&document);
  schedule_.remove(document);
  std::erase(awaiting_plugins_, &document);
  document.residence.reset();

  OpenDocumentPtr held;  // until the end of this function
  std::shared_ptr<DocumentListener> listener;
  DocumentStatus status;
  Rooms rooms;
  {
    const std::lock_guard lock(mutex_);
    held = std::move(open_.extract(document.status.id).mapped());
    status = document.status;
    listener = document.listener;
    if (document.attaching) {
      replays_.push_back({status, document.attaching->first, document.attaching->second});
    }
    rooms.swap(document.waiting);
    std::ranges::move(document.wanted_snapshots, std::back_inserter(document.snapshots));
    document.wanted_snapshots.clear();
    usage_->add_buffered(status.owner, -static_cast<std::int64_t>(document.inbox_bytes));
    usage_->close(status.owner, fixed_bytes(*document.revision->model));
    if (status.phase == DocumentPhase::kDone) {
      ++stats_.documents_done;
    } else {
      ++stats_.documents_failed;
      ++stats_.failed_by_reason[status.error_code.value_or(ErrorCode::kInternal)];
    }
  }
  for (const auto& room : rooms) {
    if (room) room();  // writers then notice that it has ended
  }
  const Error ended(ErrorCode::kDocumentState,
                    "document " + status.id + " ended before the snapshot was made: " + status.error);
  answer_snapshots(std::exchange(document.snapshots, {}), std::make_exception_ptr(ended));
  if (!listener) return;
  if (status.phase == DocumentPhase::kDone) {
    listener->on_done(status);
  } else {
    listener->on_failed(status);
  }
}

void EngineCore::charge_resident(OpenDocument& document) {
  if (!journal_.durable()) return;  // its state is charged from open to end
  resident_.charge(document.residence, document.reader->resident_bytes());
}

/// Evicts the least recently used documents until memory is below its limits by a margin, so that one commit
/// serves many documents.
void EngineCore::evict_over_limit() {
  {
    const std::lock_guard lock(mutex_);
    stats_.resident_documents = resident_.size();
    memory_blocked_ = false;
    queue_.block({});
  }
  if (!usage_->over_memory()) return;
  forget_latest_state();
  if (!journal_.durable() || !usage_->over_memory()) return;
  const auto chosen = resident_.to_evict([](const auto& document) { return !document.awaiting_plugins; });
  Documents behind;
  std::ranges::copy_if(chosen, std::back_inserter(behind),
                       [](const auto* document) { return !document->reader->point_is_current(); });
  if (!schedule_.blocked()) commit(behind, Points::kAll);
  // The commit may have closed some of them and removed them from the list.
  for (auto* document : resident_.to_evict([](const auto& document) {
         return !document.awaiting_plugins && document.reader->point_is_current();
       })) {
    evict(*document);
  }
  block_over_limit();
}

void EngineCore::block_over_limit() {
  std::set<std::uint32_t> owners;
  for (const auto* document : awaiting_plugins_) {
    if (usage_->over_memory(document->status.owner)) owners.insert(document->status.owner);
  }
  const std::lock_guard lock(mutex_);
  queue_.block(owners);
  memory_blocked_ = usage_->over_memory() && schedule_.blocked();
}

void EngineCore::forget_latest_state() {
  const std::lock_guard lock(snapshots_mutex_);
  latest_state_.reset();
}

void EngineCore::evict(OpenDocument& document) {
  document.residence.reset();
  document.reader->evict();
  const std::lock_guard lock(mutex_);
  ++stats_.evictions;
}

/// Deletes some of the expired documents from the journal. Errors are counted and retried soon.
void EngineCore::forget_expired() {
  if (options.now() < forget_at_) return;
  const std::chrono::seconds keep = options.keep_finished;
  forget_at_ = options.now() + std::clamp(keep / 100, kForgetOften, kForgetSeldom);
  forget_failed_ = false;
  try {
    const bool more = journal_.shrink();  // also opens the journal if its disk was full
    auto documents = journal_.expired(options.keep_finished, options.keep_waiting, kForgetAtOnce);
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(documents, [&](const auto& id) { return open_.contains(id) || resuming_.contains(id); });
      forgetting_.insert(documents.begin(), documents.end());
    }
    const Finally done([&] {
      const std::lock_guard lock(mutex_);
      forgetting_.clear();
    });
    const bool all = documents.empty() || journal_.forget(documents);
    const std::lock_guard snapshots(snapshots_mutex_);
    if (!std::exchange(latest_state_is_used_, false)) latest_state_.reset();
    journal_.forget_snapshots(pins_);
    if (more || !all || documents.size() == kForgetAtOnce) forget_at_ = options.now();
  } catch (const Error& error) {
    forget_failed_ = true;
    forget_at_ = options.now() + kForgetOften;
    report_journal(error.what());
    const std::lock_guard lock(mutex_);
    ++stats_.journal_errors;
  }
}

}  // namespace unroll
