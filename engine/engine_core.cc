#include "engine/engine_core.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <system_error>
#include <thread>

#include <unistd.h>

#include "base/hex.h"

namespace unroll {
namespace {

constexpr std::size_t kTimeBytes = 6;  ///< Of an identifier, at its beginning.

/// Between two transactions, for the engine's thread, which a mutex does not let pass by itself.
constexpr std::chrono::milliseconds kLetCommit{1};

constexpr std::int64_t kMostPadding = 1024;  // tokens of a model that its vocabulary lacks

std::shared_ptr<const Revision> checked(Revision revision) {
  const auto tokens = revision.model->info().num_tokens;
  // Pretrained models' embeddings are padded.
  if (revision.vocabulary->size() > tokens || revision.vocabulary->size() + kMostPadding < tokens) {
    throw Error(ErrorCode::kModel, "the model has " + std::to_string(tokens) + " tokens, its vocabulary " +
                                       std::to_string(revision.vocabulary->size()) +
                                       "; both must come from the same checkpoint");
  }
  return std::make_shared<const Revision>(std::move(revision));
}

Error was_ended(const DocumentId& id) {
  return {ErrorCode::kDocumentState, "document " + id + " was ended; open another one"};
}

}  // namespace

Error unknown_document(const DocumentId& id) {
  return {ErrorCode::kDocumentUnknown, "no document '" + id + "'; document.list lists yours"};
}

Error being_read(const DocumentId& id) {
  return {ErrorCode::kDocumentState, "document " + id + " is being read already"};
}

DocumentStatus as_open(DocumentStatus status) {
  status.phase = DocumentPhase::kOpen;
  status.error_code.reset();
  status.error.clear();
  return status;
}

DocumentId random_document_id() {
  std::array<std::uint8_t, 16> bytes{};
  if (::getentropy(bytes.data(), bytes.size()) != 0) {
    throw std::system_error(errno, std::generic_category(), "no random bytes from the kernel");
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto time = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  for (std::size_t i = kTimeBytes; i-- > 0; time >>= 8) bytes[i] = static_cast<std::uint8_t>(time);
  return to_hex(bytes);
}

EngineCore::EngineCore(Revision revision, EngineOptions options_)
    : EngineCore([&revision] { return std::move(revision); }, std::move(options_)) {}

EngineCore::EngineCore(const std::function<Revision()>& load, EngineOptions options_)
    : options(std::move(options_)),
      journal_(options.journal, options.journal_disk),
      usage_(std::make_shared<UsageByOwner>(options)),
      resident_(*usage_),
      revision_(checked(load())),
      schedule_(options, options.now()),
      forget_failed_(!journal_.is_open()),
      forget_at_(options.now()) {}

std::shared_ptr<const Revision> EngineCore::revision() const {
  const std::lock_guard lock(mutex_);
  return revision_;
}

void EngineCore::reload(Revision revision) {
  auto next = checked(std::move(revision));
  const std::lock_guard lock(mutex_);
  revision_.swap(next);  // the old one may be destroyed after unlocking
  ++stats_.reloads;
}

LimitError EngineCore::too_long(const DocumentId& id) const {
  return {"document " + id + " is too long", "limits.document_bytes", options.max_document_bytes, "split it"};
}

bool EngineCore::takes_too_much_of_journal(std::uint32_t owner) const {
  return journal_.owner_bytes(owner) > options.max_journal_bytes_per_owner;
}

LimitError EngineCore::too_much_in_journal(const DocumentId& id) const {
  const auto prefix = id.empty() ? std::string() : "document " + id + ": ";
  return {prefix + "your documents take too much of the journal", "limits.journal_bytes_per_user",
          options.max_journal_bytes_per_owner,
          "delete some (document.delete, 'unroll delete') or snapshots (snapshot.delete, 'unroll snapshot "
          "delete'), or wait until finished ones are forgotten"};
}

OpenDocumentPtr EngineCore::find_open(const DocumentId& id) const {
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second;
}

/// The error for a document that is not open.
Error EngineCore::not_open(const DocumentId& id) const {
  if (!journal_.find(id)) return unknown_document(id);
  return {ErrorCode::kDocumentState, "document " + id +
                                         " is not being read (it has ended, or waits to be resumed); "
                                         "check document.status"};
}

void EngineCore::touch_locked(const OpenDocumentPtr& document) {
  if (!document->touched) touched_.push_back(document);
  document->touched = true;
  work_.notify_one();
}

/// All or, if it throws, nothing.
void EngineCore::append(const DocumentId& id, std::string bytes, std::function<void()> room) {
  std::unique_lock lock(mutex_);
  const auto document = find_open(id);
  if (!document) {
    lock.unlock();
    throw not_open(id);
  }
  if (document->ended) throw was_ended(id);
  const auto size = bytes.size();
  touch_locked(document);
  if (document->received + size > options.max_document_bytes) {
    const auto error = too_long(id);
    document->cancelled = error;
    document->ended = true;
    throw error;
  }
  document->waiting.reserve(document->waiting.size() + 1);
  document->inbox.push_back(std::move(bytes));
  document->received += size;
  document->inbox_bytes += size;
  usage_->add_buffered(document->status.owner, static_cast<std::int64_t>(size));
  if (document->inbox_bytes > options.input_buffer_bytes || usage_->buffers_full(document->status.owner)) {
    document->waiting.push_back(std::move(room));
    return;
  }
  lock.unlock();
  if (room) room();
}

void EngineCore::end(const DocumentId& id) {
  std::unique_lock lock(mutex_);
  const auto document = find_open(id);
  if (!document) {
    lock.unlock();
    throw not_open(id);
  }
  if (document->ended) throw was_ended(id);
  touch_locked(document);
  document->ended = true;
}

bool EngineCore::cancel(const DocumentId& id, const Error& reason) {
  const std::lock_guard lock(mutex_);
  const auto document = find_open(id);
  if (!document) return false;
  touch_locked(document);
  if (!document->cancelled) document->cancelled = reason;
  return true;
}

template <class Work>
void EngineCore::with_closed(const DocumentId& id, Work work) {
  {
    const std::lock_guard lock(mutex_);
    if (find_open(id)) {
      throw Error(ErrorCode::kDocumentState, "document " + id + " is being read; cancel it first");
    }
    if (!resuming_.insert(id).second) throw being_read(id);
  }
  const Finally done([&] {
    const std::lock_guard lock(mutex_);
    resuming_.erase(id);
  });
  auto status = journal_.find(id);
  if (!status) throw unknown_document(id);
  work(*std::move(status));
}

/// Such a document exists only in the journal and has no listener.
void EngineCore::cancel_waiting(const DocumentId& id, const Error& reason) {
  with_closed(id, [&](DocumentStatus status) {
    if (status.phase != DocumentPhase::kOpen) return;
    status.phase = DocumentPhase::kFailed;
    status.error_code = reason.code;
    status.error = reason.what();
    Commit commit;
    commit.resume = can_resume(status) ? Commit::Resume::kKeep : Commit::Resume::kDrop;
    commit.status = std::move(status);
    journal_.commit({&commit, 1});
  });
}

void EngineCore::remove(const DocumentId& id) {
  with_closed(id, [&](const DocumentStatus&) {
    while (!journal_.forget({&id, 1})) std::this_thread::sleep_for(kLetCommit);
  });
}

DocumentStatus EngineCore::status(const DocumentId& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto document = find_open(id)) return as_open(document->status);
  }
  auto status = journal_.find(id);
  if (!status) throw unknown_document(id);
  return *std::move(status);
}

Opened EngineCore::resume_point(const DocumentId& id) const {
  {
    const std::lock_guard lock(mutex_);
    if (find_open(id)) throw being_read(id);
  }
  const auto status = journal_.find(id);
  if (!status) throw unknown_document(id);
  if (!can_resume(*status)) throw Error(ErrorCode::kDocumentState, "document " + id + " has ended");
  auto prefix = journal_.resume_prefix(id);
  return {id, prefix.bytes, status->outputs, std::move(prefix.sha256)};
}

std::vector<DocumentStatus> EngineCore::list(const ListRequest& request) const {
  auto result = journal_.list(request);
  const std::lock_guard lock(mutex_);
  for (auto& status : result) {
    if (const auto document = find_open(status.id)) status = as_open(document->status);
  }
  if (request.before) return result;
  // The newest may not be in the journal yet, or not when it was queried.
  std::set<DocumentId> listed;
  for (const auto& status : result) listed.insert(status.id);
  std::map<std::uint64_t, DocumentStatus> newest;
  for (const auto& [id, document] : open_) {
    const bool wanted = !request.owner || document->status.owner == *request.owner;
    if (!document->in_journal && wanted && !listed.contains(id))
      newest.emplace(document->number, as_open(document->status));
  }
  for (auto& [number, status] : newest) result.insert(result.begin(), std::move(status));
  if (result.size() > request.limit) result.resize(request.limit);
  return result;
}

std::vector<Output> EngineCore::outputs(const DocumentId& id, std::uint64_t from, std::size_t limit) const {
  status(id);  // throws if there is no such document
  return journal_.outputs(id, from, limit);
}

void EngineCore::attach(const DocumentId& id, std::uint64_t from,
                        std::shared_ptr<DocumentListener> listener) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto document = find_open(id)) {
      touch_locked(document);
      document->attaching.emplace(from, std::move(listener));
      return;
    }
  }
  auto status = journal_.find(id);
  if (!status) throw unknown_document(id);
  if (status->phase == DocumentPhase::kOpen) {
    throw Error(ErrorCode::kDocumentState,
                "document " + id + " waits to be resumed; open it with 'resume' to continue");
  }
  const std::lock_guard lock(mutex_);
  replays_.push_back({*std::move(status), from, std::move(listener)});
  work_.notify_one();
}

EngineStats EngineCore::stats() const {
  const auto journal_bytes = journal_.file_bytes();
  std::uint64_t largest_owner = 0;
  try {
    largest_owner = journal_.largest_owner_bytes();
  } catch (const Error&) {
    // The journal cannot be read; its commits fail, too, and are reported.
  }
  const std::lock_guard lock(mutex_);
  auto stats = stats_;
  stats.open_documents = open_.size();
  stats.journal_bytes = journal_bytes;
  stats.journal_largest_owner_bytes = largest_owner;
  const auto usage = usage_->all();
  stats.buffered_bytes = usage.buffered;
  stats.memory_bytes = usage.memory();
  std::set<const Revision*> revisions{revision_.get()};
  for (const auto& [id, document] : open_) {
    revisions.insert(document->revision.get());
    ++stats.models[document->revision->name].open_documents;
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
