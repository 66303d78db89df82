#include "engine/engine.h"

#include <array>
#include <cerrno>
#include <set>
#include <system_error>

#include <unistd.h>

#include "engine/engine_impl.h"

namespace unroll {
namespace {

/// Cannot be guessed by another peer.
DocumentId new_id() {
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

Error unknown(const DocumentId& id) {
  return {ErrorCode::kDocumentUnknown, "no document '" + id + "'; document.list lists yours"};
}

/// Until its end is committed and it can be resumed, a document is open. With the engine's mutex held.
DocumentStatus open_status(const OpenDocument& document) {
  auto status = document.status;
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

}  // namespace

Engine::Impl::Impl(std::shared_ptr<BlockModel> model_, std::shared_ptr<const Vocabulary> vocabulary_,
                   std::shared_ptr<const PluginRegistry> plugins_, EngineOptions options_)
    : model(std::move(model_)),
      vocabulary(std::move(vocabulary_)),
      plugins(std::move(plugins_)),
      options(std::move(options_)),
      journal(options.journal) {
  if (vocabulary->size() != model->info().num_tokens) {
    throw Error(ErrorCode::kModel, "the model has " + std::to_string(model->info().num_tokens) +
                                       " tokens, its tokenizer.model " + std::to_string(vocabulary->size()) +
                                       "; both must come from the same checkpoint");
  }
  journal.forget_finished(options.keep_finished);
  thread_ = std::thread([this] { run(); });
}

Engine::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  thread_.join();
}

void Engine::Impl::check_limits(std::uint32_t owner) const {
  if (draining_)
    throw Error(ErrorCode::kShuttingDown, "the daemon is stopping; try again when it runs again");
  const auto refuse = [](const char* what, std::size_t limit) {
    throw Error(ErrorCode::kLimit, std::string(what) + " (" + std::to_string(limit) +
                                       ") is reached; wait until one is done, or cancel one");
  };
  if (open_.size() >= options.max_documents) refuse("the limit on open documents", options.max_documents);
  std::size_t own = 0;
  for (const auto& [id, document] : open_) own += document->status.owner == owner ? 1 : 0;
  if (own >= options.max_documents_per_owner) {
    refuse("the limit on open documents of one user", options.max_documents_per_owner);
  }
}

DocumentStatus Engine::Impl::resumable(const DocumentRequest& request) const {
  const auto& id = *request.resume;
  auto status = journal.find(id);
  if (!status || status->owner != request.owner) throw unknown(id);
  if (!can_resume(*status)) {
    throw Error(ErrorCode::kDocumentState,
                "document " + id + " has ended; read its outputs with document.attach, or open a new one");
  }
  const auto saved = journal.plugins(id);
  const auto same = [](const PluginRequest& a, const PluginRequest& b) {
    return a.name == b.name && a.options == b.options;
  };
  if (!std::ranges::equal(saved, request.plugins, same)) {
    throw Error(ErrorCode::kInvalidParams,
                "document " + id + " was begun with other plugins or options; resume it with the same");
  }
  status->phase = DocumentPhase::kOpen;
  status->error_code.reset();
  status->error.clear();
  if (request.total_bytes) status->total_bytes = request.total_bytes;
  return *std::move(status);
}

Opened Engine::Impl::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener) {
  check_plugins(request.plugins);
  auto document = std::make_shared<OpenDocument>();
  document->reading = std::make_unique<Reading>(vocabulary, *plugins, request.plugins);
  ResumePoint point;
  if (request.resume) {
    {
      const std::lock_guard lock(mutex_);
      if (open_.contains(*request.resume)) {
        throw Error(ErrorCode::kDocumentState, "document " + *request.resume + " is being read already");
      }
    }
    document->status = resumable(request);
    point = journal.resume_point(document->status.id);
    document->reading->restore(point, document->status, *model);
    document->received = point.segment_begin;
    document->tokens_before = document->status.tokens;
  } else {
    auto& status = document->status;
    status.id = new_id();
    status.name = std::move(request.name);
    status.owner = request.owner;
    status.priority = request.priority;
    status.total_bytes = request.total_bytes;
    status.source = std::move(request.source);
  }
  if (request.deadline) document->deadline = Clock::now() + *request.deadline;
  document->listener = std::move(listener);
  const Opened opened{document->status.id, point.segment_begin, document->status.outputs};

  const std::lock_guard lock(mutex_);
  check_limits(document->status.owner);
  if (!request.resume) journal.insert(document->status, request.plugins);
  if (!open_.emplace(opened.id, std::move(document)).second) {
    throw Error(ErrorCode::kDocumentState, "document " + opened.id + " is being read already");
  }
  work_.notify_one();
  return opened;
}

OpenDocumentPtr Engine::Impl::find_open(const DocumentId& id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second;
}

OpenDocumentPtr Engine::Impl::require_open(const DocumentId& id) const {
  auto document = find_open(id);
  if (!document) {
    if (!journal.find(id)) throw unknown(id);
    throw Error(ErrorCode::kDocumentState, "document " + id +
                                               " is not being read (it has ended, or waits to be "
                                               "resumed); document.status tells more");
  }
  if (document->ended)
    throw Error(ErrorCode::kDocumentState, "document " + id + " was ended; open another one");
  return document;
}

void Engine::Impl::append(const DocumentId& id, std::string bytes, std::function<void()> room) {
  {
    const std::lock_guard lock(mutex_);
    const auto document = require_open(id);
    document->received += bytes.size();
    if (document->received > options.max_document_bytes) {
      document->cancelled = Error(ErrorCode::kLimit, "document " + id + " is longer than the limit of " +
                                                         std::to_string(options.max_document_bytes) +
                                                         " bytes (limits.document_bytes); split it");
      document->ended = true;
      work_.notify_one();
      throw *document->cancelled;
    }
    document->inbox_bytes += bytes.size();
    document->inbox.push_back(std::move(bytes));
    work_.notify_one();
    if (document->inbox_bytes > options.input_buffer_bytes) {
      document->waiting.push_back(std::move(room));
      return;
    }
  }
  if (room) room();
}

void Engine::Impl::end(const DocumentId& id) {
  const std::lock_guard lock(mutex_);
  require_open(id)->ended = true;
  work_.notify_one();
}

void Engine::Impl::cancel(const DocumentId& id, const Error& reason) {
  const std::lock_guard lock(mutex_);
  if (const auto document = find_open(id)) {
    if (!document->cancelled) document->cancelled = reason;
    work_.notify_one();
    return;
  }
  auto status = journal.find(id);
  if (!status) throw unknown(id);
  if (status->phase != DocumentPhase::kOpen) return;
  // It waits to be resumed: nobody listens, the journal is all there is to it.
  status->phase = DocumentPhase::kFailed;
  status->error_code = reason.code;
  status->error = reason.what();
  const Commit commit{*std::move(status), std::nullopt, {}};
  journal.commit({&commit, 1});
}

DocumentStatus Engine::Impl::status(const DocumentId& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto document = find_open(id)) return open_status(*document);
  }
  auto status = journal.find(id);
  if (!status) throw unknown(id);
  return *std::move(status);
}

std::vector<DocumentStatus> Engine::Impl::list(std::optional<std::uint32_t> owner) const {
  auto result = journal.list(owner);
  const std::lock_guard lock(mutex_);
  for (auto& status : result) {
    if (const auto document = find_open(status.id)) status = open_status(*document);
  }
  return result;
}

void Engine::Impl::attach(const DocumentId& id, std::uint64_t from,
                          std::shared_ptr<DocumentListener> listener) {
  const std::lock_guard lock(mutex_);
  if (const auto document = find_open(id)) {
    document->attaching.emplace(from, std::move(listener));
  } else {
    auto status = journal.find(id);
    if (!status) throw unknown(id);
    if (status->phase == DocumentPhase::kOpen) {
      throw Error(ErrorCode::kDocumentState,
                  "document " + id + " waits to be resumed; open it with 'resume' to go on");
    }
    replays_.push_back({*std::move(status), from, std::move(listener)});
  }
  work_.notify_one();
}

EngineStats Engine::Impl::stats() const {
  const std::lock_guard lock(mutex_);
  auto stats = stats_;
  stats.open_documents = open_.size();
  return stats;
}

bool Engine::Impl::drain(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  return idle_.wait_for(lock, time, [this] { return open_.empty(); });
}

Engine::Engine(std::shared_ptr<BlockModel> model, std::shared_ptr<const Vocabulary> vocabulary,
               std::shared_ptr<const PluginRegistry> plugins, EngineOptions options)
    : impl_(std::make_unique<Impl>(std::move(model), std::move(vocabulary), std::move(plugins),
                                   std::move(options))) {}
Engine::~Engine() = default;

const ModelInfo& Engine::model_info() const {
  return impl_->model->info();
}
const PluginRegistry& Engine::plugins() const {
  return *impl_->plugins;
}
Opened Engine::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener) {
  return impl_->open(std::move(request), std::move(listener));
}
void Engine::append(const DocumentId& id, std::string bytes, std::function<void()> room) {
  impl_->append(id, std::move(bytes), std::move(room));
}
void Engine::end(const DocumentId& id) {
  impl_->end(id);
}
void Engine::cancel(const DocumentId& id, const Error& reason) {
  impl_->cancel(id, reason);
}
DocumentStatus Engine::status(const DocumentId& id) const {
  return impl_->status(id);
}
std::vector<DocumentStatus> Engine::list(std::optional<std::uint32_t> owner) const {
  return impl_->list(owner);
}
std::vector<Output> Engine::outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const {
  impl_->status(id);  // throws where there is no such document
  return impl_->journal.outputs(id, from, limit);
}
void Engine::attach(const DocumentId& id, std::uint64_t from, std::shared_ptr<DocumentListener> listener) {
  impl_->attach(id, from, std::move(listener));
}
EngineStats Engine::stats() const {
  return impl_->stats();
}
bool Engine::drain(std::chrono::milliseconds time) {
  return impl_->drain(time);
}

}  // namespace unroll
