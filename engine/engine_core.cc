#include "engine/engine_core.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace unroll {
namespace {

Error unknown(const DocumentId& id) {
  return {ErrorCode::kDocumentUnknown, "no document '" + id + "'; document.list lists yours"};
}

Error being_read(const DocumentId& id) {
  return {ErrorCode::kDocumentState, "document " + id + " is being read already"};
}

/// Until its end is committed, and when it is resumed, a document is open, whatever else its status says.
DocumentStatus as_open(DocumentStatus status) {
  status.phase = DocumentPhase::kOpen;
  status.error_code.reset();
  status.error.clear();
  return status;
}

void check_plugins(const std::vector<PluginRequest>& plugins) {
  std::set<std::string> names;
  for (const auto& plugin : plugins) {
    if (!names.insert(plugin.name).second) {
      throw Error(ErrorCode::kInvalidParams,
                  "plugin '" + plugin.name + "' is asked for twice; name each once");
    }
  }
  if (names.empty()) throw Error(ErrorCode::kInvalidParams, "no plugin is asked for; name one or more");
}

std::shared_ptr<const Revision> checked(Revision revision) {
  const auto tokens = revision.model->info().num_tokens;
  if (revision.vocabulary->size() != tokens) {
    throw Error(ErrorCode::kModel, "the model has " + std::to_string(tokens) +
                                       " tokens, its tokenizer.model " +
                                       std::to_string(revision.vocabulary->size()) +
                                       "; both must come from the same checkpoint");
  }
  return std::make_shared<const Revision>(std::move(revision));
}

bool same(const PluginRequest& a, const PluginRequest& b) {
  return a.name == b.name && a.options == b.options;
}

}  // namespace

DocumentId random_document_id() {
  std::array<unsigned char, 16> bytes{};
  if (::getentropy(bytes.data(), bytes.size()) != 0) {
    throw std::system_error(errno, std::generic_category(), "no random bytes from the kernel");
  }
  constexpr auto kDigits = "0123456789abcdef";
  DocumentId id;
  for (const auto byte : bytes) {
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  return id;
}

EngineCore::EngineCore(Revision revision, EngineOptions options_)
    : options(std::move(options_)),
      journal_(options.journal, options.journal_disk),
      revision_(checked(std::move(revision))),
      usage_(options),
      last_commit_of_all_(options.now() - options.commit_interval) {
  journal_.forget(options.keep_finished, options.keep_waiting);
}

Revision EngineCore::revision() const {
  const std::lock_guard lock(mutex_);
  return *revision_;
}

void EngineCore::reload(Revision revision) {
  auto next = checked(std::move(revision));
  const std::lock_guard lock(mutex_);
  revision_.swap(next);  // the old one may end behind the lock
  ++stats_.reloads;
}

/// A document that can go on, as it was committed.
DocumentStatus EngineCore::resumable(const DocumentId& id, std::uint32_t owner) const {
  auto status = journal_.find(id);
  if (!status || status->owner != owner) throw unknown(id);
  if (!can_resume(*status)) {
    throw Error(ErrorCode::kDocumentState,
                "document " + id + " has ended; read its outputs with document.attach, or open a new one");
  }
  return as_open(*std::move(status));
}

/// A new document's status, or that of the one to be resumed.
DocumentStatus EngineCore::begin(DocumentRequest& request) {
  if (!request.resume) {
    DocumentStatus status;
    status.id = options.new_id();
    status.name = std::move(request.name);
    status.owner = request.owner;
    status.priority = request.priority;
    status.total_bytes = request.total_bytes;
    status.source = std::move(request.source);
    journal_.insert(status, request.plugins);
    return status;
  }
  auto status = resumable(*request.resume, request.owner);
  if (!std::ranges::equal(journal_.plugins(status.id), request.plugins, same)) {
    throw Error(
        ErrorCode::kInvalidParams,
        "document " + status.id + " was begun with other plugins or options; resume it with the same");
  }
  if (request.total_bytes) status.total_bytes = request.total_bytes;
  return status;
}

/// Of a document's state, for as long as it is open: what cannot be put away into the journal.
std::uint64_t EngineCore::fixed_bytes(const BlockModel& model) const {
  return journal_.durable() ? 0 : model.info().state_bytes;
}

void EngineCore::reserve(const DocumentRequest& request, std::uint64_t fixed_bytes) {
  const std::lock_guard lock(mutex_);
  if (draining_)
    throw Error(ErrorCode::kShuttingDown, "the daemon is stopping; try again when it runs again");
  if (request.resume && (open_.contains(*request.resume) || resuming_.contains(*request.resume))) {
    throw being_read(*request.resume);
  }
  usage_.open(request.owner, fixed_bytes);
  if (request.resume) resuming_.insert(*request.resume);
}

void EngineCore::unreserve(const DocumentRequest& request, std::uint64_t fixed_bytes) {
  const std::lock_guard lock(mutex_);
  usage_.close(request.owner, fixed_bytes);
  if (request.resume) resuming_.erase(*request.resume);
}

Opened EngineCore::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener) {
  check_plugins(request.plugins);
  auto document = std::make_shared<OpenDocument>();
  {
    const std::lock_guard lock(mutex_);
    document->revision = revision_;
  }
  const auto& [model, vocabulary, plugins] = *document->revision;
  const auto fixed = fixed_bytes(*model);
  document->listener = std::move(listener);
  document->flush_after = request.flush_after;
  document->keep_outputs = request.keep_outputs;
  document->started = options.now();
  if (request.deadline) document->deadline = document->started + *request.deadline;

  reserve(request, fixed);
  ResumePoint point;
  try {
    document->reading = std::make_unique<Reading>(vocabulary, plugins, request.plugins);
    document->status = begin(request);
    if (request.resume) {
      point = journal_.resume_point(document->status.id);
      document->reading->restore(point, document->status, *model);
    }
  } catch (...) {
    unreserve(request, fixed);
    throw;
  }
  document->received = point.segment_begin;
  document->tokens_before = document->status.tokens;
  const Opened opened{document->status.id, point.segment_begin, document->status.outputs};

  const std::lock_guard lock(mutex_);
  if (request.resume) resuming_.erase(*request.resume);
  document->number = next_number_++;
  touch_locked(open_.emplace(opened.id, std::move(document)).first->second);
  return opened;
}

OpenDocumentPtr EngineCore::find_open(const DocumentId& id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second;
}

OpenDocumentPtr EngineCore::require_open(const DocumentId& id) const {
  auto document = find_open(id);
  if (!document) {
    if (!journal_.find(id)) throw unknown(id);
    throw Error(ErrorCode::kDocumentState, "document " + id +
                                               " is not being read (it has ended, or waits to be "
                                               "resumed); document.status tells more");
  }
  if (document->ended)
    throw Error(ErrorCode::kDocumentState, "document " + id + " was ended; open another one");
  return document;
}

void EngineCore::touch_locked(const OpenDocumentPtr& document) {
  if (!std::exchange(document->touched, true)) touched_.push_back(document);
  work_.notify_one();
}

void EngineCore::append(const DocumentId& id, std::string bytes, std::function<void()> room) {
  {
    const std::lock_guard lock(mutex_);
    const auto document = require_open(id);
    document->received += bytes.size();
    touch_locked(document);
    if (document->received > options.max_document_bytes) {
      const LimitError error("document " + id + " is too long", "limits.document_bytes",
                             options.max_document_bytes, "split it");
      document->cancelled = error;
      document->ended = true;
      throw error;
    }
    document->inbox_bytes += bytes.size();
    usage_.add_buffered(document->status.owner, static_cast<std::int64_t>(bytes.size()));
    document->inbox.push_back(std::move(bytes));
    if (document->inbox_bytes > options.input_buffer_bytes || usage_.buffers_full(document->status.owner)) {
      document->waiting.push_back(std::move(room));
      return;
    }
  }
  if (room) room();
}

void EngineCore::end(const DocumentId& id) {
  const std::lock_guard lock(mutex_);
  const auto document = require_open(id);
  document->ended = true;
  touch_locked(document);
}

void EngineCore::cancel(const DocumentId& id, const Error& reason) {
  const std::lock_guard lock(mutex_);
  if (const auto document = find_open(id)) {
    if (!document->cancelled) document->cancelled = reason;
    touch_locked(document);
    return;
  }
  auto status = journal_.find(id);
  if (!status) throw unknown(id);
  if (status->phase != DocumentPhase::kOpen) return;
  // It waits to be resumed: nobody listens, the journal is all there is to it.
  status->phase = DocumentPhase::kFailed;
  status->error_code = reason.code;
  status->error = reason.what();
  const auto resume = can_resume(*status) ? Commit::Resume::kKeep : Commit::Resume::kDrop;
  const Commit commit{*std::move(status), resume, {}, {}};
  journal_.commit({&commit, 1});
}

DocumentStatus EngineCore::status(const DocumentId& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto document = find_open(id)) return as_open(document->status);
  }
  auto status = journal_.find(id);
  if (!status) throw unknown(id);
  return *std::move(status);
}

Opened EngineCore::resume_point(const DocumentId& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (find_open(id)) throw being_read(id);
  }
  const auto status = journal_.find(id);
  if (!status) throw unknown(id);
  if (!can_resume(*status)) throw Error(ErrorCode::kDocumentState, "document " + id + " has ended");
  return {id, journal_.resume_bytes(id), status->outputs};
}

std::vector<DocumentStatus> EngineCore::list(std::optional<std::uint32_t> owner) const {
  auto result = journal_.list(owner);
  const std::lock_guard lock(mutex_);
  for (auto& status : result) {
    if (const auto document = find_open(status.id)) status = as_open(document->status);
  }
  return result;
}

std::vector<Output> EngineCore::outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const {
  status(id);  // throws where there is no such document
  return journal_.outputs(id, from, limit);
}

void EngineCore::attach(const DocumentId& id, std::uint64_t from,
                        std::shared_ptr<DocumentListener> listener) {
  const std::lock_guard lock(mutex_);
  if (const auto document = find_open(id)) {
    document->attaching.emplace(from, std::move(listener));
    touch_locked(document);
    return;
  }
  auto status = journal_.find(id);
  if (!status) throw unknown(id);
  if (status->phase == DocumentPhase::kOpen) {
    throw Error(ErrorCode::kDocumentState,
                "document " + id + " waits to be resumed; open it with 'resume' to go on");
  }
  replays_.push_back({*std::move(status), from, std::move(listener)});
  work_.notify_one();
}

EngineStats EngineCore::stats() const {
  const std::lock_guard lock(mutex_);
  auto stats = stats_;
  stats.open_documents = open_.size();
  stats.buffered_bytes = usage_.all().buffered;
  stats.memory_bytes = usage_.all().memory();
  std::set<const Revision*> revisions{revision_.get()};
  for (const auto& [id, document] : open_) {
    revisions.insert(document->revision.get());
    stats.waiting_documents += document->inbox.empty() && !document->ended ? 1 : 0;
  }
  stats.revisions = revisions.size();
  if (round_began_) {
    const std::chrono::duration<double> round = std::chrono::steady_clock::now() - *round_began_;
    stats.round_seconds = round.count();
  }
  return stats;
}

bool EngineCore::drain(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  return idle_.wait_for(lock, time, [this] { return open_.empty(); });
}

void EngineCore::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  work_.notify_all();
}

}  // namespace unroll
