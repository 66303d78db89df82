#include "daemon/subscription.h"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

namespace unroll {

Subscription::Subscription(Surroundings surroundings, std::weak_ptr<Sink> sink, std::uint32_t owner,
                           QueuedBytes queued)
    : surroundings_(std::move(surroundings)),
      sink_(std::move(sink)),
      owner_(owner),
      queued_(std::move(queued)) {}

void Subscription::on_output(const DocumentId&, const Output& output) {
  const std::lock_guard lock(mutex_);
  if (detached_) return;
  sequence_end_ = std::max(sequence_end_, output.sequence + 1);
  largest_ = std::max(largest_, output.json.size());
  if (*queued_ + output.json.size() > kQueueBytes && !queue_.empty()) lagging_ = true;
  if (!lagging_) {
    *queued_ += output.json.size();
    queue_.push_back(output);
  }
  wake_locked();
}

void Subscription::on_progress(const DocumentStatus& status) {
  const std::lock_guard lock(mutex_);
  progress_ = status;
  wake_locked();
}

void Subscription::on_done(const DocumentStatus& status) {
  finish(status);
}
void Subscription::on_failed(const DocumentStatus& status) {
  // Otherwise it continues, and another connection gets its events.
  if (status.error_code != ErrorCode::kDocumentState) surroundings_.events.document_failed(status);
  finish(status);
}

void Subscription::finish(const DocumentStatus& status) {
  const std::lock_guard lock(mutex_);
  end_ = status;
  wake_locked();
}

void Subscription::wake_locked() {
  if (woken_ || detached_) return;
  woken_ = true;
  boost::asio::post(surroundings_.io, [self = shared_from_this()] {
    {
      const std::lock_guard lock(self->mutex_);
      self->woken_ = false;
    }
    self->pump();
  });
}

void Subscription::start(DocumentId id, std::uint64_t next_sequence, std::uint64_t committed) {
  id_ = std::move(id);
  next_sequence_ = next_sequence;
  started_ = true;
  const std::lock_guard lock(mutex_);
  if (next_sequence < committed) {
    lagging_ = true;
    drop_queue_locked();  // these are in the journal, too
  }
  sequence_end_ = std::max(sequence_end_, committed);
  wake_locked();
}

bool Subscription::ended() {
  const std::lock_guard lock(mutex_);
  return end_.has_value();
}

void Subscription::detach() {
  const std::lock_guard lock(mutex_);
  detached_ = true;
  drop_queue_locked();
}

void Subscription::drop_queue_locked() {
  for (const Output& output : queue_) *queued_ -= output.json.size();
  queue_.clear();
}

void Subscription::pump() {
  if (std::exchange(has_turn_, true)) return;
  surroundings_.turns->ask(owner_, [self = shared_from_this()] {
    self->has_turn_ = false;
    if (self->pump_some(kTurnOutputs)) self->pump();
  });
}

void Subscription::pump_all() {
  while (pump_some(kTurnOutputs)) {
  }
}

/// Returns true if there may be more.
bool Subscription::pump_some(std::size_t most) {
  const std::shared_ptr<Sink> sink = sink_.lock();
  for (std::size_t done = 0; done < most; ++done) {
    if (!sink || !started_ || delivered_end_ || !sink->has_room() || !deliver_next(*sink)) return false;
  }
  return true;
}

bool Subscription::deliver_next(Sink& sink) {
  std::unique_lock lock(mutex_);
  if (detached_) return false;
  if (!queue_.empty()) {
    const Output output = std::move(queue_.front());
    queue_.pop_front();
    *queued_ -= output.json.size();
    lock.unlock();
    deliver(sink, output);
    return true;
  }
  if (lagging_) {
    lock.unlock();
    return pull(sink);
  }
  if (end_) {
    lock.unlock();
    delivered_end_ = true;
    sink.on_finished(*end_);  // not changed after it is set
    return false;
  }
  if (!progress_) return false;
  const DocumentStatus status = *std::exchange(progress_, std::nullopt);
  lock.unlock();
  sink.on_progress(status);
  return true;
}

/// The engine announces an output after it is committed. One that is announced and not there was forgotten
/// (`keep_outputs`, document.delete).
bool Subscription::pull(Sink& sink) {
  std::uint64_t announced = 0;
  std::size_t most = kPullOutputs;
  {
    const std::lock_guard lock(mutex_);
    announced = sequence_end_;
    if (largest_ > 0) most = std::clamp<std::size_t>(kQueueBytes / largest_, 1, kPullOutputs);
  }
  std::vector<Output> outputs;
  try {
    outputs = surroundings_.engine.outputs(id_, next_sequence_, most);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentUnknown) {
      fail(sink, error);
      return false;
    }
  }
  for (const Output& output : outputs) deliver(sink, output);
  if (!outputs.empty()) return true;
  next_sequence_ = std::max(next_sequence_, announced);
  const std::lock_guard lock(mutex_);
  lagging_ = sequence_end_ != announced;
  return true;
}

/// Outputs that cannot be read are not skipped: the document fails, and can be resumed or attached to again.
void Subscription::fail(Sink& sink, const Error& error) {
  DocumentStatus status;
  status.id = id_;
  status.owner = owner_;
  status.phase = DocumentPhase::kFailed;
  status.error_code = error.code;
  status.error = "document " + id_ + ": " + error.what();
  if (!surroundings_.engine.cancel(id_, Error(error.code, status.error)))
    surroundings_.events.document_failed(status);  // else on_failed() counts it
  delivered_end_ = true;
  detach();
  sink.on_finished(status);
}

void Subscription::deliver(Sink& sink, const Output& output) {
  if (output.sequence < next_sequence_) return;
  next_sequence_ = output.sequence + 1;
  sink.on_output(id_, output);
}

}  // namespace unroll
