// One round: handles arrivals and chooses the next blocks. Everything here runs on the engine's
// thread.
#include <algorithm>
#include <iterator>

#include "engine/engine_core.h"

namespace unroll {
namespace {

/// Small, so that few tokens are made beyond a block.
constexpr std::size_t kTokenizeBytes = 2048;
constexpr std::size_t kReplayOutputs = 256;

}  // namespace

/// Returns false to stop. Wakes for arrivals, requests, deadlines and due commits.
bool EngineCore::wait_for_work() {
  std::unique_lock lock(mutex_);
  round_began_.reset();
  if (open_.empty()) idle_.notify_all();
  while (!stopping_ && !has_work_locked()) {
    const auto wake = std::min(next_wake().value_or(forget_at_), forget_at_);
    if (options.now() >= wake) break;
    work_.wait_until(lock, wake);
  }
  round_began_ = std::chrono::steady_clock::now();
  return !stopping_;
}

bool EngineCore::has_work_locked() const {
  return !touched_.empty() || !replays_.empty() || (!memory_blocked_ && !is_idle());
}

bool EngineCore::has_work() const {
  const std::lock_guard lock(mutex_);
  return has_work_locked();
}

std::optional<EngineCore::TimePoint> EngineCore::next_wake() const {
  std::optional<TimePoint> wake;
  const auto consider = [&](std::optional<TimePoint> time) {
    if (time && (!wake || *time < *wake)) wake = time;
  };
  consider(deadlines_.first());
  consider(flushes_.first());
  if (!awaiting_plugins_.empty()) consider(poll_at_);
  consider(schedule_.next_wake());
  if (forget_failed_) consider(forget_at_);
  return wake;
}

void EngineCore::round() {
  serve_touched();
  expire_deadlines();
  wake_flushes();
  if (poll_plugins()) commit_due();  // before those that have answered begin their next block
  if (!schedule_.blocked()) {
    read_blocks(choose_batch());
    finish_exhausted();
  }
  release_stalled();
  commit_due();
  evict_over_limit();
  forget_expired();
}

/// Arrivals, cancellations and attachments.
void EngineCore::serve_touched() {
  std::vector<OpenDocumentPtr> touched;
  std::vector<Replay> replays;
  std::vector<Replaced> replaced;
  std::vector<std::pair<OpenDocument*, Error>> failed;
  {
    const std::lock_guard lock(mutex_);
    touched.swap(touched_);
    replays.swap(replays_);
    std::erase_if(touched, [&](const auto& document) {
      document->touched = false;
      return find_open(document->status.id) != document;  // closed meanwhile
    });
    for (const auto& document : touched) {
      if (document->attaching) attach_locked(*document, replays, replaced);
      if (document->cancelled) failed.emplace_back(document.get(), *document->cancelled);
    }
  }
  for (const auto& document : touched) {
    introduce(*document);
    make_ready(*document);
  }
  for (auto& [listener, status] : replaced) {
    status.phase = DocumentPhase::kFailed;
    status.error_code = ErrorCode::kDocumentState;
    status.error = "document " + status.id +
                   ": another connection has attached to it; attach again to receive its events";
    listener->on_failed(status);
  }
  for (const auto& request : replays) replay(request);
  for (const auto& [document, error] : failed) fail(*document, error);
}

/// Handles a document that is new to this thread.
void EngineCore::introduce(OpenDocument& document) {
  if (std::exchange(document.introduced, true)) return;
  if (document.deadline) deadlines_.add(*document.deadline, document);
  if (document.opening) {
    const std::lock_guard lock(mutex_);
    schedule_.add_opened(document, !document.ended);
  }
  document.residence = resident_.add(document, document.status.owner);
  charge_resident(document);
}

void EngineCore::attach_locked(OpenDocument& document, std::vector<Replay>& replays,
                               std::vector<Replaced>& replaced) {
  auto [from, listener] = *std::exchange(document.attaching, std::nullopt);
  auto before = std::exchange(document.listener, listener);
  if (before) replaced.push_back({std::move(before), document.status});
  replays.push_back({as_open(document.status), from, std::move(listener)});
}

/// Only committed outputs are delivered, so the journal has all of them.
void EngineCore::replay(const Replay& replay) {
  const auto& [status, from, listener] = replay;
  try {
    for (auto next = from;;) {
      const auto outputs = journal_.outputs(status.id, next, kReplayOutputs);
      for (const auto& output : outputs) listener->on_output(status.id, output);
      if (outputs.size() < kReplayOutputs) break;
      next = outputs.back().sequence + 1;
    }
    if (status.phase == DocumentPhase::kDone) listener->on_done(status);
    if (status.phase == DocumentPhase::kFailed) listener->on_failed(status);
  } catch (const std::exception& error) {
    {
      const std::lock_guard lock(mutex_);  // it has missed outputs: detach it
      const auto document = find_open(status.id);
      if (document && document->listener == listener) document->listener.reset();
    }
    auto failed = status;
    failed.phase = DocumentPhase::kFailed;
    failed.error_code = ErrorCode::kInternal;
    failed.error = error.what();
    listener->on_failed(failed);
  }
}

void EngineCore::expire_deadlines() {
  while (auto* document = deadlines_.take_due(options.now())) {
    fail(*document, Error(ErrorCode::kDeadline, "document " + document->status.id +
                                                    " was not done by its deadline; resume it with a later "
                                                    "one"));
  }
}

void EngineCore::wake_flushes() {
  while (auto* document = flushes_.take_due(options.now())) make_ready(*document);
}

/// A document whose plugins have not answered is queued when they have.
void EngineCore::make_ready(OpenDocument& document) {
  if (!document.awaiting_plugins) enqueue(document);
}

void EngineCore::enqueue(OpenDocument& document) {
  if (queue_.add(document)) document.queued_since = std::chrono::steady_clock::now();
}

/// Of those that have a block, the one that is due the longest, and the next ones that the same model reads.
EngineCore::Documents EngineCore::choose_batch() {
  Documents batch;
  std::size_t size = 1;
  while (batch.size() < size && !memory_blocked_) {
    auto* next = queue_.next(batch.empty() ? nullptr : batch.front()->revision.get());
    if (next == nullptr) break;
    auto& document = *next;
    Filled filled{};
    if (!attempt(document, ErrorCode::kInternal, [&] { filled = fill(document); })) continue;
    switch (filled) {
      case Filled::kBlock:
        queue_.charge(document);
        batch.push_back(&document);
        size = largest_batch(*document.revision->model);
        break;
      case Filled::kWaits:
        wait_for_bytes(document);
        break;
      case Filled::kExhausted:
        exhausted_.insert(&document);
        break;
    }
  }
  return batch;
}

/// Over the limit of memory, an owner whose documents do not await their plugins reads one at a time.
std::size_t EngineCore::largest_batch(const BlockModel& model) const {
  if (usage_->over_total_memory()) return 1;
  return options.batch > 0 ? options.batch : model.info().batch;
}

/// Tokenizes until a block is full or the inbox is empty.
EngineCore::Filled EngineCore::fill(OpenDocument& document) {
  auto& reader = *document.reader;
  const auto width = static_cast<std::size_t>(document.revision->model->info().block_width);
  while (!reader.has_block(width)) {
    make_snapshots(document);
    if (!take_bytes(document)) break;
    stop_flush_timer(document);
  }
  if (reader.has_block(width)) return Filled::kBlock;
  if (reader.is_exhausted()) return Filled::kExhausted;
  const bool flush = document.flush_at && options.now() >= *document.flush_at;
  return flush && reader.unread_tokens() > 0 ? Filled::kBlock : Filled::kWaits;
}

/// Passes the next bytes, or the end, from the inbox to the tokenizer. Returns false if there is neither.
bool EngineCore::take_bytes(OpenDocument& document) {
  auto& reader = *document.reader;
  std::string bytes;
  Rooms rooms;
  {
    const std::lock_guard lock(mutex_);
    if (wants_snapshot_locked(document)) return true;
    if (document.inbox.empty()) {
      if (!document.ended || reader.input_ended()) return false;
      reader.end_input(document.predict_next);
      return true;
    }
    auto& front = document.inbox.front();
    auto most = std::uint64_t{kTokenizeBytes};
    for (const auto& wanted : document.wanted_snapshots) {
      if (wanted.at) most = std::min(most, *wanted.at - document.taken);
    }
    bytes = front.substr(document.inbox_taken, most);
    document.inbox_taken += bytes.size();
    document.taken += bytes.size();
    if (document.inbox_taken == front.size()) {
      document.inbox.pop_front();
      document.inbox_taken = 0;
    }
    document.inbox_bytes -= bytes.size();
    usage_->add_buffered(document.status.owner, -static_cast<std::int64_t>(bytes.size()));
    if (document.inbox_bytes <= options.input_buffer_bytes && !document.waiting.empty()) {
      if (!usage_->buffers_full(document.status.owner)) {
        rooms.swap(document.waiting);
      } else if (!std::exchange(document.stalled, true)) {
        stalled_.push_back(open_.at(document.status.id));
      }
    }
  }
  for (const auto& room : rooms) {
    if (room) room();
  }
  reader.take(bytes);
  return true;
}

/// Wakes writers that waited for room in the buffers of all documents.
void EngineCore::release_stalled() {
  Rooms rooms;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(stalled_, [&](const auto& document) {
      if (usage_->buffers_full(document->status.owner)) return false;
      document->stalled = false;
      if (document->inbox_bytes <= options.input_buffer_bytes) {
        std::ranges::move(document->waiting, std::back_inserter(rooms));
        document->waiting.clear();
      }
      return true;
    });
  }
  for (const auto& room : rooms) {
    if (room) room();
  }
}

void EngineCore::wait_for_bytes(OpenDocument& document) {
  if (!document.flush_after || document.flush_at || document.reader->unread_tokens() == 0) return;
  document.flush_at = options.now() + *document.flush_after;
  flushes_.add(*document.flush_at, document);
}

void EngineCore::stop_flush_timer(OpenDocument& document) {
  if (document.flush_at) flushes_.remove(*document.flush_at, document);
  document.flush_at.reset();
}

}  // namespace unroll
