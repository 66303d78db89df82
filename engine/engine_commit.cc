// What is safely done: commits, and what follows from them - listeners are told, documents end, states are
// put away. Everything here is done by the engine's thread.
#include <algorithm>

#include "engine/engine_core.h"

namespace unroll {

/// With mutex_ held. `outputs` counts committed ones only: tell() moves it.
void EngineCore::update_status(OpenDocument& document) {
  auto& status = document.status;
  status.bytes = document.reading->bytes();
  status.tokens = document.reading->tokens();
  const std::chrono::duration<double> time = options.now() - document.started;
  status.tokens_per_second =
      time.count() > 0 ? static_cast<double>(status.tokens - document.tokens_before) / time.count() : 0;
}

/// What was done up to the last whole block is committed with the failure, so that it can be resumed where
/// that helps.
void EngineCore::fail(OpenDocument& document, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (document.status.phase != DocumentPhase::kOpen) return;
  }
  if (document.is_called) {
    // Its plugins are between two states: it ends as it was committed last.
    document.reading->roll_back();
    dirty_.erase(&document);
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

void EngineCore::commit_due() {
  const bool due = !dirty_.empty() && (options.now() - last_commit_of_all_ >= options.commit_interval ||
                                       std::ranges::any_of(dirty_, [&](const auto* document) {
                                         return !document->is_called &&
                                                document->blocks_since_commit >= options.commit_blocks;
                                       }));
  if (due) commit_all();
}

/// Those whose plugins are being called are committed when they have answered.
void EngineCore::commit_all() {
  Documents documents;
  std::ranges::copy_if(dirty_, std::back_inserter(documents),
                       [](const auto* document) { return !document->is_called; });
  commit(documents);
  last_commit_of_all_ = options.now();
}

/// What a document adds to the journal. A plugin that cannot save its state fails its document here.
Commit EngineCore::make_commit(OpenDocument& document) {
  const auto& reading = *document.reading;
  Commit commit;
  if (journal_.durable() && can_resume(document.status)) {
    commit.resume = Commit::Resume::kKeep;
    if (dirty_.contains(&document)) {
      try {
        commit.point = reading.resume_point();
        commit.resume = Commit::Resume::kNew;
        charge_resident(document);
      } catch (const std::exception& error) {
        mark_failed(document, Error(ErrorCode::kPluginFailed, error.what()));
        commit.resume = Commit::Resume::kDrop;
      }
    }
  }
  commit.outputs = reading.uncommitted();
  commit.status = document.status;
  commit.status.outputs = reading.sequence();
  if (document.keep_outputs && *document.keep_outputs < reading.sequence()) {
    commit.forget_before = reading.sequence() - *document.keep_outputs;
  }
  return commit;
}

void EngineCore::commit(const Documents& documents) {
  if (documents.empty()) return;
  double seconds = 0;
  std::optional<Error> failure;
  try {
    const Stopwatch watch(seconds);
    std::vector<Commit> commits;
    for (auto* document : documents) commits.push_back(make_commit(*document));
    journal_.commit(commits);
  } catch (const Error& error) {
    failure = error;
  }
  {
    const std::lock_guard lock(mutex_);  // before anybody hears of it
    ++stats_.commits;
    stats_.journal_seconds += seconds;
    stats_.commit.add(seconds);
  }
  for (auto* document : documents) {
    document->blocks_since_commit = 0;
    dirty_.erase(document);
    if (failure) {
      mark_failed(*document,
                  Error(failure->code, "document " + document->status.id + ": " + failure->what()));
    } else {
      document->reading->committed();
      tell(*document, document->reading->take_uncommitted());
    }
    if (document->status.phase != DocumentPhase::kOpen) close(*document);
  }
}

void EngineCore::tell(OpenDocument& document, const std::vector<Output>& outputs) {
  std::shared_ptr<DocumentListener> listener;
  {
    const std::lock_guard lock(mutex_);
    document.status.outputs = document.reading->sequence();
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

/// Finished: told, and open no more.
void EngineCore::close(OpenDocument& document) {
  turns_.remove(document);
  if (document.deadline) deadlines_.remove(*document.deadline, document);
  stop_flush_timer(document);
  exhausted_.erase(&document);
  std::erase(called_, &document);
  if (document.introduced && document.reading->is_resident()) resident_.erase(document.use);

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
    usage_.add_resident(status.owner, -static_cast<std::int64_t>(document.counted_bytes));
    usage_.add_buffered(status.owner, -static_cast<std::int64_t>(document.inbox_bytes));
    usage_.close(status.owner, fixed_bytes(*document.revision->model));
    ++(status.phase == DocumentPhase::kDone ? stats_.documents_done : stats_.documents_failed);
  }
  for (const auto& room : rooms) {
    if (room) room();  // writers find out that it has ended
  }
  if (!listener) return;
  if (status.phase == DocumentPhase::kDone) {
    listener->on_done(status);
  } else {
    listener->on_failed(status);
  }
}

void EngineCore::charge_resident(OpenDocument& document) {
  if (!journal_.durable()) return;  // its state is counted from open to end
  const auto bytes = document.reading->resident_bytes();
  const std::lock_guard lock(mutex_);
  usage_.add_resident(document.status.owner,
                      static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(document.counted_bytes));
  document.counted_bytes = bytes;
}

/// Puts away what was read from the longest ago, until memory is within its limits with some to spare: what
/// comes of it is a commit for many documents instead of one for each.
void EngineCore::keep_to_memory() {
  {
    const std::lock_guard lock(mutex_);
    stats_.resident_documents = resident_.size();
    held_up_ = false;
    if (!journal_.durable() || !usage_.over_memory()) return;
  }
  commit_all();
  for (auto next = resident_.begin(); next != resident_.end();) {
    auto& document = **next++;
    if (document.is_called) continue;
    std::unique_lock lock(mutex_);
    if (usage_.has_air(document.status.owner)) continue;
    lock.unlock();
    put_away(document);
  }
  const std::lock_guard lock(mutex_);
  held_up_ = !called_.empty() && usage_.over_memory();
}

void EngineCore::put_away(OpenDocument& document) {
  resident_.erase(document.use);
  document.reading->put_away();
  charge_resident(document);
  const std::lock_guard lock(mutex_);
  ++stats_.put_aways;
}

}  // namespace unroll
