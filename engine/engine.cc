#include "engine/engine.h"

#include <future>
#include <memory>
#include <utility>

#include "engine/engine_core.h"

namespace unroll {

Engine::Engine(Revision revision, EngineOptions options)
    : Engine([&revision] { return std::move(revision); }, std::move(options)) {}

Engine::Engine(const std::function<Revision()>& load, EngineOptions options)
    : core_(std::make_unique<EngineCore>(load, std::move(options))), thread_([this] { run(); }) {}

void Engine::run() {
  while (core_->wait_for_work()) core_->round();
  core_->commit_all();
}

Engine::~Engine() {
  stop();
}

void Engine::stop() {
  core_->stop();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const Revision> Engine::revision() const {
  return core_->revision();
}
void Engine::reload(Revision revision) {
  core_->reload(std::move(revision));
}
Opened Engine::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener) {
  const auto opened = std::make_shared<std::promise<Opened>>();  // shared: set_value() may return after get()
  open(std::move(request), std::move(listener), [opened](std::exception_ptr failure, const Opened& what) {
    failure ? opened->set_exception(std::move(failure)) : opened->set_value(what);
  });
  return opened->get_future().get();
}
void Engine::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener,
                  AcceptFunction accepted) {
  try {
    core_->open(std::move(request), std::move(listener), accepted);
  } catch (...) {
    accepted(std::current_exception(), {});
  }
}
void Engine::append(const DocumentId& id, std::string bytes, std::function<void()> room) {
  core_->append(id, std::move(bytes), std::move(room));
}
void Engine::end(const DocumentId& id) {
  core_->end(id);
}
bool Engine::cancel(const DocumentId& id, const Error& reason) {
  return core_->cancel(id, reason);
}
void Engine::cancel_waiting(const DocumentId& id, const Error& reason) {
  core_->cancel_waiting(id, reason);
}
void Engine::remove(const DocumentId& id) {
  core_->remove(id);
}
void Engine::snapshot(const DocumentId& id, SnapshotRequest request, SnapshotFunction done) {
  core_->snapshot(id, std::move(request), std::move(done));
}
std::vector<SnapshotInfo> Engine::snapshots(std::uint32_t owner) const {
  return core_->snapshots(owner);
}
void Engine::remove_snapshot(std::uint32_t owner, const std::string& name) {
  core_->remove_snapshot(owner, name);
}
SnapshotInfo Engine::find_snapshot(std::uint32_t owner, const std::string& name) const {
  return core_->find_snapshot(owner, name);
}
std::string Engine::export_snapshot(std::uint32_t owner, const std::string& name) const {
  return core_->export_snapshot(owner, name);
}
SnapshotInfo Engine::import_snapshot(std::uint32_t owner, std::string_view file, SnapshotRequest request,
                                     std::shared_ptr<const Revision> revision) {
  return core_->import_snapshot(owner, file, std::move(request), std::move(revision));
}
std::shared_ptr<void> Engine::charge_buffered(std::uint32_t owner, std::size_t bytes) {
  return core_->charge_buffered(owner, bytes);
}
DocumentStatus Engine::status(const DocumentId& id) const {
  return core_->status(id);
}
Opened Engine::resume_point(const DocumentId& id) const {
  return core_->resume_point(id);
}
std::vector<DocumentStatus> Engine::list(const ListRequest& request) const {
  return core_->list(request);
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
