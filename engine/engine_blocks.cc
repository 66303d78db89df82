// Runs blocks through the model and passes them to the plugins. Everything here runs on the engine's
// thread.
#include <algorithm>

#include "engine/engine_core.h"

namespace unroll {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{250};
/// If plugins have not answered after this long, other documents continue, and they are polled later.
constexpr std::chrono::milliseconds kPluginPatience{20};
constexpr std::chrono::milliseconds kPollInterval{2};

/// Not less than 0.
std::chrono::milliseconds time_until(std::chrono::steady_clock::time_point time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

}  // namespace

/// Restores what was evicted. False: it failed.
bool EngineCore::make_resident(OpenDocument& document) {
  if (document.residence) {
    resident_.use(document.residence);
    return true;
  }
  return attempt(document, ErrorCode::kInternal, [&] { restore(document); });
}

void EngineCore::restore(OpenDocument& document) {
  auto point = journal_.resume_point(document.status.id);
  ModelStatePtr shared;
  if (document.origin && point.model_state.empty()) {
    auto origin = journal_.snapshot(*document.origin);
    shared = state_of(origin, *document.revision);
    if (!point.stored) point.plugin_states = std::move(origin.point.plugin_states);
  }
  document.reader->restore(point, *document.revision->model, std::move(shared));
  document.residence = resident_.add(document, document.status.owner);
  charge_resident(document);
}

/// One launch, of one revision's documents.
void EngineCore::read_blocks(Documents batch) {
  std::erase_if(batch, [&](auto* document) { return !make_resident(*document); });
  if (batch.empty()) return;
  const auto revision = batch.front()->revision;
  std::vector<BlockInput> inputs;
  auto outputs = run_model(*revision->model, batch, inputs);
  if (outputs.empty()) return;
  Documents called;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    begin_call(*batch[i], called, [&](DocumentReader& reader) { reader.begin_block(std::move(outputs[i])); });
  }
  end_calls(called);
}

template <class Begin>
void EngineCore::begin_call(OpenDocument& document, Documents& called, Begin begin) {
  queue_.remove(document);
  double seconds = 0;
  const bool begun = attempt(document, ErrorCode::kPluginFailed, [&] {
    const Stopwatch watch(seconds);
    begin(*document.reader);
  });
  if (!begun) return;
  document.awaiting_plugins = true;
  called.push_back(&document);
  const std::lock_guard lock(mutex_);
  stats_.plugin_seconds += seconds;
}

/// Usually all answer. Those that do not answer in time are polled in a later round; while there are such,
/// the engine does not wait for others.
void EngineCore::end_calls(const Documents& called) {
  const auto patience = awaiting_plugins_.empty() ? kPluginPatience : std::chrono::milliseconds(0);
  const auto until = std::chrono::steady_clock::now() + patience;
  for (auto* document : called) {
    double seconds = 0;
    bool answered = false;
    {
      const Stopwatch watch(seconds);
      answered = document->reader->wait(time_until(until));
    }
    {
      const std::lock_guard lock(mutex_);
      stats_.plugin_seconds += seconds;
    }
    if (answered) {
      end_call(*document);
    } else {
      awaiting_plugins_.push_back(document);
      charge_resident(*document);  // it holds the state after the block, too
      poll_at_ = options.now() + kPollInterval;
    }
  }
}

/// Returns an empty result if the model failed, and fails the documents.
std::vector<BlockOutput> EngineCore::run_model(BlockModel& model, const Documents& batch,
                                               std::vector<BlockInput>& inputs) {
  const auto width = static_cast<std::size_t>(model.info().block_width);
  for (auto* document : batch) inputs.push_back(document->reader->next_block(width));
  std::vector<BlockOutput> outputs;
  std::string failure;
  const auto began = std::chrono::steady_clock::now();
  const auto start = options.now();
  double seconds = 0;
  try {
    const Stopwatch watch(seconds);
    outputs = model.run(inputs);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.model_seconds += seconds;
    stats_.models[batch.front()->revision->name].seconds += seconds;
    stats_.block.add(seconds, batch.size());
    for (const auto* document : batch) {
      stats_.queue_wait.add(std::chrono::duration<double>(began - document->queued_since).count());
    }
  }
  if (!outputs.empty()) {
    const double share = seconds_since(start) / static_cast<double>(batch.size());
    for (auto* document : batch) document->seconds_since_point += share;
    return outputs;
  }
  for (auto* document : batch) {  // invalid after this
    fail(*document, Error(ErrorCode::kModel,
                          "document " + document->status.id + ": the model failed on block: " + failure));
  }
  return outputs;
}

/// Returns true if some have answered.
bool EngineCore::poll_plugins() {
  if (awaiting_plugins_.empty() || options.now() < poll_at_) return false;
  poll_at_ = options.now() + kPollInterval;
  Documents answered;
  std::erase_if(awaiting_plugins_, [&](auto* document) {
    const bool has = document->reader->wait(std::chrono::milliseconds(0));
    if (has) answered.push_back(document);
    return has;
  });
  for (auto* document : answered) end_call(*document);
  return !answered.empty();
}

void EngineCore::end_call(OpenDocument& document) {
  auto& reader = *document.reader;
  const auto tokens_before = reader.tokens(), bytes_before = reader.bytes();
  const bool is_last = reader.is_exhausted();
  document.awaiting_plugins = false;
  double seconds = 0;
  const bool ended = attempt(document, ErrorCode::kPluginFailed, [&] {
    const Stopwatch watch(seconds);
    reader.end_call();
  });
  if (!ended) return;
  if (reader.in_call()) {  // the block's rest
    document.awaiting_plugins = true;
    if (reader.wait(awaiting_plugins_.empty() ? kPluginPatience : std::chrono::milliseconds(0)))
      return end_call(document);
    awaiting_plugins_.push_back(&document);
    poll_at_ = options.now();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.plugin_seconds += seconds;
    stats_.blocks += is_last ? 0 : 1;
    stats_.tokens += reader.tokens() - tokens_before;
    auto& of_model = stats_.models[document.revision->name];
    of_model.blocks += is_last ? 0 : 1;
    of_model.tokens += reader.tokens() - tokens_before;
    stats_.bytes += reader.bytes() - bytes_before;
    update_status(document);
    if (is_last) document.status.phase = DocumentPhase::kDone;
  }
  if (is_last) {
    schedule_.add_ended(document);
  } else {
    after_block(document);
  }
}

void EngineCore::after_block(OpenDocument& document) {
  ++document.blocks_since_commit;
  ++document.blocks_since_point;
  charge_resident(document);
  schedule_.add_read(document, document.flush_at.has_value());
  stop_flush_timer(document);
  report_progress(document);
  enqueue(document);
}

void EngineCore::report_progress(OpenDocument& document) {
  const auto now = options.now();
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

/// As many as fit into memory; the others in the next round.
void EngineCore::finish_exhausted() {
  std::set<std::uint32_t> took_memory;  // owners
  for (const auto* document : awaiting_plugins_) took_memory.insert(document->status.owner);
  Documents called;
  for (auto* document : Documents(exhausted_.begin(), exhausted_.end())) {
    const auto owner = document->status.owner;
    if (took_memory.contains(owner) && usage_->over_memory(owner)) continue;
    exhausted_.erase(document);
    {
      const std::lock_guard lock(mutex_);
      if (document->cancelled) continue;  // the next round fails it
    }
    if (make_resident(*document))
      begin_call(*document, called, [](DocumentReader& reader) { reader.begin_finish(); });
    took_memory.insert(owner);
  }
  end_calls(called);
}

}  // namespace unroll
