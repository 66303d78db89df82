// The engine's thread: takes what arrived, chooses whose blocks are next, runs them, commits, tells the
// listeners.
#include <algorithm>
#include <cmath>

#include "engine/engine_impl.h"

namespace unroll {
namespace {

constexpr double kPriorityStep =
    1.25;  // a document's share of turns grows so much with each step of priority
constexpr std::chrono::milliseconds kProgressInterval{250};
constexpr std::size_t kTokenizeBytes = 16 * 1024;
constexpr std::size_t kReplayOutputs = 256;

class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total) {}
  ~Stopwatch() { total_ += std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  double& total_;
  const Clock::time_point start_ = Clock::now();
};

}  // namespace

void Engine::Impl::run() {
  while (wait_for_work()) {
    serve_requests();
    const auto batch = choose_batch();
    if (!batch.empty()) run_batch(batch);
    finish_exhausted();
    commit_due();
  }
  Documents unsaved;
  for (const auto& document : open_documents()) {
    if (document->blocks_since_commit > 0) unsaved.push_back(document);
  }
  commit(unsaved);
}

/// False when it is time to stop. Wakes for arrivals, requests, deadlines and due commits.
bool Engine::Impl::wait_for_work() {
  std::unique_lock lock(mutex_);
  if (open_.empty()) idle_.notify_all();
  while (!stopping_ && !work_waits_locked()) {
    const auto wake = next_wake_locked();
    if (wake == Clock::time_point::max()) {
      work_.wait(lock);
    } else if (Clock::now() >= wake) {
      break;
    } else {
      work_.wait_until(lock, wake);
    }
  }
  return !stopping_;
}

bool Engine::Impl::work_waits_locked() const {
  const auto waits = [width =
                          static_cast<std::size_t>(model->info().block_width)](const OpenDocument& document) {
    return document.cancelled || document.attaching || !document.inbox.empty() || document.ended ||
           document.reading->waiting_tokens() >= width;
  };
  return !replays_.empty() ||
         std::ranges::any_of(open_, [&](const auto& entry) { return waits(*entry.second); });
}

Clock::time_point Engine::Impl::next_wake_locked() const {
  auto wake = Clock::time_point::max();
  for (const auto& [id, document] : open_) {
    if (document->deadline) wake = std::min(wake, *document->deadline);
    if (document->blocks_since_commit > 0) wake = std::min(wake, last_commit_ + options.commit_interval);
  }
  return wake;
}

Engine::Impl::Documents Engine::Impl::open_documents() const {
  const std::lock_guard lock(mutex_);
  Documents documents;
  for (const auto& [id, document] : open_) documents.push_back(document);
  return documents;
}

/// Cancellations, deadlines and attachments.
void Engine::Impl::serve_requests() {
  std::vector<Replay> replays;
  std::vector<std::pair<OpenDocumentPtr, Error>> failed;
  std::vector<std::pair<std::shared_ptr<DocumentListener>, DocumentStatus>> replaced;
  {
    const std::lock_guard lock(mutex_);
    replays.swap(replays_);
    const auto now = Clock::now();
    for (const auto& [id, document] : open_) {
      if (document->cancelled) {
        failed.emplace_back(document, *document->cancelled);
      } else if (document->deadline && now >= *document->deadline) {
        failed.emplace_back(document,
                            Error(ErrorCode::kDeadline, "document " + id +
                                                            " was not done by its deadline; resume it "
                                                            "with a later one"));
      }
      if (document->attaching) {
        auto [from, listener] = *std::exchange(document->attaching, std::nullopt);
        auto before = std::exchange(document->listener, listener);
        auto status = document->status;
        if (before) replaced.emplace_back(std::move(before), status);
        replays.push_back({std::move(status), from, std::move(listener)});
      }
    }
  }
  for (auto& [listener, status] : replaced) {
    status.phase = DocumentPhase::kFailed;
    status.error_code = ErrorCode::kDocumentState;
    status.error =
        "document " + status.id + " is told to another connection now, which attached to it; attach again";
    listener->on_failed(status);
  }
  for (const auto& request : replays) replay(request);
  for (const auto& [document, error] : failed) fail(document, error);
}

/// What is committed is what a listener may have heard: the journal has it all.
void Engine::Impl::replay(const Replay& replay) {
  const auto& [status, from, listener] = replay;
  try {
    for (auto next = from;;) {
      const auto outputs = journal.outputs(status.id, next, kReplayOutputs);
      for (const auto& output : outputs) listener->on_output(status.id, output);
      if (outputs.size() < kReplayOutputs) break;
      next = outputs.back().sequence + 1;
    }
    if (status.phase == DocumentPhase::kDone) listener->on_done(status);
    if (status.phase == DocumentPhase::kFailed) listener->on_failed(status);
  } catch (const std::exception& error) {
    auto failed = status;
    failed.phase = DocumentPhase::kFailed;
    failed.error_code = ErrorCode::kInternal;
    failed.error = error.what();
    listener->on_failed(failed);
  }
}

/// Tokenizes until a block is full or nothing is left to take; true where there is a block to run.
bool Engine::Impl::fill(OpenDocument& document) {
  auto& reading = *document.reading;
  const auto width = static_cast<std::size_t>(model->info().block_width);
  while (reading.waiting_tokens() < width && !reading.input_ended()) {
    std::string bytes;
    Rooms rooms;
    {
      const std::lock_guard lock(mutex_);
      if (document.inbox.empty()) {
        if (document.ended) reading.end_input();
        break;
      }
      auto& front = document.inbox.front();
      if (front.size() <= kTokenizeBytes) {
        bytes = std::move(front);
        document.inbox.pop_front();
      } else {
        bytes = front.substr(0, kTokenizeBytes);
        front.erase(0, kTokenizeBytes);
      }
      document.inbox_bytes -= bytes.size();
      if (document.inbox_bytes <= options.input_buffer_bytes) rooms.swap(document.waiting);
    }
    for (const auto& room : rooms) {
      if (room) room();
    }
    reading.take(bytes);
  }
  return reading.waiting_tokens() >= width || (reading.input_ended() && reading.waiting_tokens() > 0);
}

/// Stride scheduling: of those that have a block, the ones whose turn is longest due.
Engine::Impl::Documents Engine::Impl::choose_batch() {
  auto documents = open_documents();
  std::ranges::sort(documents, [](const auto& a, const auto& b) {
    return a->pass != b->pass ? a->pass < b->pass : a->status.id < b->status.id;
  });
  Documents batch;
  for (const auto& document : documents) {
    if (batch.size() == options.batch) break;
    if (fill(*document)) batch.push_back(document);
  }
  if (!batch.empty()) pass_ = std::max(pass_, batch.front()->pass);
  for (const auto& document : batch) {
    // One that waited for input gets no turns in arrears.
    document->pass = std::max(document->pass, pass_) + std::pow(kPriorityStep, -document->status.priority);
  }
  return batch;
}

void Engine::Impl::run_batch(const Documents& batch) {
  const auto width = static_cast<std::size_t>(model->info().block_width);
  std::vector<BlockInput> inputs;
  for (const auto& document : batch) {
    auto& reading = *document->reading;
    inputs.push_back(reading.next_block(std::min(width, reading.waiting_tokens())));
  }
  std::vector<BlockOutput> outputs;
  double model_seconds = 0, plugin_seconds = 0;
  try {
    const Stopwatch watch(model_seconds);
    outputs = model->run(inputs);
  } catch (const std::exception& error) {
    for (const auto& document : batch) {
      fail(document, Error(ErrorCode::kModel, "document " + document->status.id +
                                                  ": the model failed on block: " + error.what()));
    }
    return;
  }
  std::uint64_t tokens = 0, bytes = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto before = batch[i]->reading->bytes();
    try {
      const Stopwatch watch(plugin_seconds);
      accept(*batch[i], std::move(outputs[i]));
    } catch (const std::exception& error) {
      fail(batch[i],
           Error(ErrorCode::kPluginFailed, "document " + batch[i]->status.id + ": " + error.what()));
      continue;
    }
    tokens += inputs[i].tokens.size();
    bytes += batch[i]->reading->bytes() - before;
    report_progress(*batch[i]);
  }
  const std::lock_guard lock(mutex_);
  stats_.blocks += batch.size();
  stats_.tokens += tokens;
  stats_.bytes += bytes;
  stats_.model_seconds += model_seconds;
  stats_.plugin_seconds += plugin_seconds;
}

void Engine::Impl::accept(OpenDocument& document, BlockOutput output) {
  document.reading->accept(std::move(output));
  const std::lock_guard lock(mutex_);
  ++document.blocks_since_commit;
  update_status(document);
}

/// With mutex_ held. `outputs` counts committed ones only: tell() moves it.
void Engine::Impl::update_status(OpenDocument& document) {
  auto& status = document.status;
  status.bytes = document.reading->bytes();
  status.tokens = document.reading->tokens();
  const std::chrono::duration<double> time = Clock::now() - document.started;
  status.tokens_per_second = static_cast<double>(status.tokens - document.tokens_before) / time.count();
}

void Engine::Impl::report_progress(OpenDocument& document) {
  const auto now = Clock::now();
  if (now - document.last_progress < kProgressInterval) return;
  document.last_progress = now;
  std::shared_ptr<DocumentListener> listener;
  DocumentStatus status;
  {
    const std::lock_guard lock(mutex_);
    listener = document.listener;
    status = document.status;
  }
  if (listener) listener->on_progress(status);
}

void Engine::Impl::finish_exhausted() {
  for (const auto& document : open_documents()) {
    fill(*document);
    const auto& reading = *document->reading;
    if (reading.input_ended() && reading.waiting_tokens() == 0) finish(document);
  }
}

void Engine::Impl::finish(const OpenDocumentPtr& document) {
  {
    const std::lock_guard lock(mutex_);
    if (document->cancelled) return;  // the next round fails it
  }
  try {
    document->reading->finish();
  } catch (const std::exception& error) {
    return fail(document,
                Error(ErrorCode::kPluginFailed, "document " + document->status.id + ": " + error.what()));
  }
  {
    const std::lock_guard lock(mutex_);
    update_status(*document);
    document->status.phase = DocumentPhase::kDone;
  }
  commit({document});
}

/// What was done up to the last whole block is committed with the failure, so that it can be resumed where
/// that helps.
void Engine::Impl::fail(const OpenDocumentPtr& document, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (document->status.phase != DocumentPhase::kOpen) return;
  }
  mark_failed(*document, error);
  commit({document});
}

/// Finished: told, and open no more.
void Engine::Impl::close(const OpenDocumentPtr& document) {
  std::shared_ptr<DocumentListener> listener;
  DocumentStatus status;
  Rooms rooms;
  {
    const std::lock_guard lock(mutex_);
    open_.erase(document->status.id);
    status = document->status;
    listener = document->listener;
    if (document->attaching) {
      replays_.push_back({status, document->attaching->first, document->attaching->second});
    }
    rooms.swap(document->waiting);
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

void Engine::Impl::commit_due() {
  Documents dirty;
  bool due = Clock::now() - last_commit_ >= options.commit_interval;
  for (const auto& document : open_documents()) {
    if (document->blocks_since_commit > 0) dirty.push_back(document);
    due |= document->blocks_since_commit >= options.commit_blocks;
  }
  if (due) commit(dirty);
}

/// What a document adds to the journal. A plugin that cannot save its state fails its document here.
Commit Engine::Impl::make_commit(OpenDocument& document) {
  const auto& reading = *document.reading;
  std::optional<ResumePoint> resume;
  try {
    if (journal.durable() && can_resume(document.status)) resume = reading.resume_point();
  } catch (const std::exception& error) {
    mark_failed(document, Error(ErrorCode::kPluginFailed, error.what()));
  }
  Commit commit{document.status, std::move(resume), reading.uncommitted()};
  commit.status.outputs = reading.sequence();
  return commit;
}

void Engine::Impl::mark_failed(OpenDocument& document, const Error& error) {
  const std::lock_guard lock(mutex_);
  document.status.phase = DocumentPhase::kFailed;
  document.status.error_code = error.code;
  document.status.error = error.what();
}

void Engine::Impl::commit(const Documents& documents) {
  if (documents.empty()) return;
  double seconds = 0;
  std::optional<Error> failure;
  try {
    const Stopwatch watch(seconds);
    std::vector<Commit> commits;
    for (const auto& document : documents) commits.push_back(make_commit(*document));
    journal.commit(commits);
  } catch (const Error& error) {
    failure = error;
  }
  last_commit_ = Clock::now();
  for (const auto& document : documents) {
    document->blocks_since_commit = 0;
    if (failure) {
      mark_failed(*document,
                  Error(failure->code, "document " + document->status.id + ": " + failure->what()));
    } else {
      tell(*document, document->reading->take_uncommitted());
    }
    if (document->status.phase != DocumentPhase::kOpen) close(document);
  }
  const std::lock_guard lock(mutex_);
  ++stats_.commits;
  stats_.journal_seconds += seconds;
}

void Engine::Impl::tell(OpenDocument& document, const std::vector<Output>& outputs) {
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
  }
}

}  // namespace unroll
