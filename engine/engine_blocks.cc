// Runs blocks through the model and shows them to the plugins. Everything here is done by the engine's
// thread.
#include <algorithm>

#include "engine/engine_core.h"

namespace unroll {
namespace {

constexpr std::chrono::milliseconds kProgressInterval{250};
/// Plugins that have not answered after so long are asked again later, and other documents go on.
constexpr std::chrono::milliseconds kPluginPatience{20};
constexpr std::chrono::milliseconds kLookInterval{2};

}  // namespace

/// Takes back what was put away, where it was. False: it failed.
bool EngineCore::make_resident(OpenDocument& document) {
  if (document.reading->is_resident()) {
    resident_.splice(resident_.end(), resident_, document.use);
    return true;
  }
  document.use = resident_.insert(resident_.end(), &document);
  try {
    document.reading->take_back(journal_.resume_point(document.status.id), *document.revision->model);
  } catch (const Error& error) {
    fail(document, Error(error.code, "document " + document.status.id + ": " + error.what()));
    return false;
  }
  charge_resident(document);
  return true;
}

void EngineCore::read_blocks(Documents batch) {
  std::erase_if(batch, [&](auto* document) { return !make_resident(*document); });
  while (!batch.empty()) {
    const auto revision = batch.front()->revision;
    const auto others = std::stable_partition(
        batch.begin(), batch.end(), [&](const auto* document) { return document->revision == revision; });
    const Documents same(batch.begin(), others);
    batch.erase(batch.begin(), others);
    read_blocks_of(*revision, same);
  }
}

/// One launch.
void EngineCore::read_blocks_of(const Revision& revision, const Documents& batch) {
  std::vector<BlockInput> inputs;
  auto outputs = run_model(*revision.model, batch, inputs);
  if (outputs.empty()) return;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    call_plugins(*batch[i], [&](Reading& reading) { reading.begin_block(std::move(outputs[i])); });
  }
}

/// Most answer at once; for the others the documents that come after do not wait.
template <class Begin>
void EngineCore::call_plugins(OpenDocument& document, Begin begin) {
  turns_.remove(document);
  bool answered = false;
  double seconds = 0;
  try {
    const Stopwatch watch(seconds);
    begin(*document.reading);
    answered = document.reading->wait(called_.empty() ? kPluginPatience : std::chrono::milliseconds(0));
  } catch (const Error& error) {
    fail(document, Error(error.code, "document " + document.status.id + ": " + error.what()));
    return;
  } catch (const std::exception& error) {
    fail(document, Error(ErrorCode::kPluginFailed, "document " + document.status.id + ": " + error.what()));
    return;
  }
  document.is_called = true;
  {
    const std::lock_guard lock(mutex_);
    stats_.plugin_seconds += seconds;
  }
  if (answered) {
    end_call(document);
  } else {
    called_.push_back(&document);
    charge_resident(document);  // it holds the state behind the block, too
    look_at_ = options.now() + kLookInterval;
  }
}

/// Empty where the model failed, and the documents with it.
std::vector<BlockOutput> EngineCore::run_model(BlockModel& model, const Documents& batch,
                                               std::vector<BlockInput>& inputs) {
  const auto width = static_cast<std::size_t>(model.info().block_width);
  for (auto* document : batch) inputs.push_back(document->reading->next_block(width));
  std::vector<BlockOutput> outputs;
  const auto began = std::chrono::steady_clock::now();
  double seconds = 0;
  try {
    const Stopwatch watch(seconds);
    outputs = model.run(inputs);
  } catch (const std::exception& error) {
    for (auto* document : batch) {
      fail(*document, Error(ErrorCode::kModel, "document " + document->status.id +
                                                   ": the model failed on block: " + error.what()));
    }
  }
  const std::lock_guard lock(mutex_);
  stats_.model_seconds += seconds;
  stats_.block.add(seconds, batch.size());
  for (const auto* document : batch) {
    stats_.queue_wait.add(std::chrono::duration<double>(began - document->in_line).count());
  }
  return outputs;
}

void EngineCore::serve_called() {
  if (called_.empty() || options.now() < look_at_) return;
  look_at_ = options.now() + kLookInterval;
  Documents answered;
  std::erase_if(called_, [&](auto* document) {
    const bool has = document->reading->wait(std::chrono::milliseconds(0));
    if (has) answered.push_back(document);
    return has;
  });
  for (auto* document : answered) end_call(*document);
}

void EngineCore::end_call(OpenDocument& document) {
  auto& reading = *document.reading;
  const auto tokens_before = reading.tokens(), bytes_before = reading.bytes();
  const bool is_last = reading.is_exhausted();
  document.is_called = false;
  double seconds = 0;
  try {
    const Stopwatch watch(seconds);
    reading.end_call();
  } catch (const std::exception& error) {
    fail(document, Error(ErrorCode::kPluginFailed, "document " + document.status.id + ": " + error.what()));
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.plugin_seconds += seconds;
    stats_.blocks += is_last ? 0 : 1;
    stats_.tokens += reading.tokens() - tokens_before;
    stats_.bytes += reading.bytes() - bytes_before;
    update_status(document);
    if (is_last) document.status.phase = DocumentPhase::kDone;
  }
  if (is_last) {
    finished_.push_back(&document);
  } else {
    behind_block(document);
  }
}

void EngineCore::behind_block(OpenDocument& document) {
  ++document.blocks_since_commit;
  dirty_.insert(&document);
  charge_resident(document);
  if (document.flush_at) {
    // Its reader waits for just this: the next commit is due.
    stop_flush_timer(document);
    document.blocks_since_commit = options.commit_blocks;
  }
  report_progress(document);
  get_in_line(document);
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

/// As many as memory has room for; the others in the next round.
void EngineCore::finish_exhausted() {
  while (!exhausted_.empty()) {
    auto& document = **exhausted_.begin();
    {
      const std::lock_guard lock(mutex_);
      if (usage_.over_memory() && !(called_.empty() && finished_.empty())) return;
      exhausted_.erase(&document);
      if (document.cancelled) continue;  // the next round fails it
    }
    if (make_resident(document)) call_plugins(document, [](Reading& reading) { reading.begin_finish(); });
  }
}

}  // namespace unroll
