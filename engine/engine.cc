#include "engine/engine.h"

#include "engine/engine_core.h"

namespace unroll {

Engine::Engine(Revision revision, EngineOptions options)
    : core_(std::make_unique<EngineCore>(std::move(revision), std::move(options))),
      thread_([core = core_.get()] {
        while (core->wait_for_work()) core->round();
        core->commit_all();
      }) {}

Engine::~Engine() {
  core_->stop();
  thread_.join();
}

Revision Engine::revision() const {
  return core_->revision();
}
void Engine::reload(Revision revision) {
  core_->reload(std::move(revision));
}
Opened Engine::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener) {
  return core_->open(std::move(request), std::move(listener));
}
void Engine::append(const DocumentId& id, std::string bytes, std::function<void()> room) {
  core_->append(id, std::move(bytes), std::move(room));
}
void Engine::end(const DocumentId& id) {
  core_->end(id);
}
void Engine::cancel(const DocumentId& id, const Error& reason) {
  core_->cancel(id, reason);
}
DocumentStatus Engine::status(const DocumentId& id) const {
  return core_->status(id);
}
Opened Engine::resume_point(const DocumentId& id) const {
  return core_->resume_point(id);
}
std::vector<DocumentStatus> Engine::list(std::optional<std::uint32_t> owner) const {
  return core_->list(owner);
}
std::vector<Output> Engine::outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const {
  return core_->outputs(id, from, limit);
}
void Engine::attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener) {
  core_->attach(id, from, std::move(listener));
}
EngineStats Engine::stats() const {
  return core_->stats();
}
bool Engine::drain(std::chrono::milliseconds time) {
  return core_->drain(time);
}

}  // namespace unroll
