// Opens and resumes documents. Everything here runs on the caller's thread.
#include <algorithm>
#include <set>
#include <utility>

#include "base/sha256.h"
#include "engine/engine_core.h"

namespace unroll {
namespace {

void check_plugins(const DocumentRequest& request) {
  std::set<std::string> names;
  for (const auto& plugin : request.plugins) {
    if (!names.insert(plugin.name).second) {
      throw Error(ErrorCode::kInvalidParams,
                  "plugin '" + plugin.name + "' is asked for twice; name each once");
    }
  }
  if (names.empty() && !request.snapshot)
    throw Error(ErrorCode::kInvalidParams, "no plugin is asked for; name one or more");
}

Error other_checkpoint(const DocumentStatus& status, const Revision& revision) {
  const auto& before = status.model;
  const bool same_name = before.empty() || before == revision.name;
  return {
      ErrorCode::kModel,
      "document " + status.id + " cannot continue: it was read with " +
          (same_name ? "another checkpoint than that of model '" : "model '" + before + "', and not with '") +
          revision.name + "'; list that one in the configuration, or read the document again"};
}

bool same(const PluginRequest& a, const PluginRequest& b) {
  return a.name == b.name && a.options == b.options;
}

}  // namespace

/// A document that can be resumed, as it was committed.
DocumentStatus EngineCore::resumable(const DocumentId& id, std::uint32_t owner) const {
  auto status = journal_.find(id);
  if (!status || status->owner != owner) throw unknown_document(id);
  if (!can_resume(*status)) {
    throw Error(ErrorCode::kDocumentState,
                "document " + id + " has ended; read its outputs with document.attach, or open a new one");
  }
  return as_open(*std::move(status));
}

/// A new document: it is stored in the journal by its first commit.
void EngineCore::begin(OpenDocument& document, DocumentRequest& request) {
  auto& status = document.status;
  status.id = options.new_id();
  status.name = std::move(request.name);
  status.owner = request.owner;
  status.priority = request.priority;
  status.total_bytes = request.total_bytes;
  status.source = std::move(request.source);
  status.model = document.revision->name;
  document.opening = Opening{request.plugins, document.revision->model->info().checkpoint};
}

void EngineCore::resume(OpenDocument& document, const DocumentRequest& request, Opened& opened) {
  auto& status = document.status;
  status = resumable(*request.resume, request.owner);
  const auto opening = journal_.opening(status.id);
  if (!std::ranges::equal(opening.plugins, request.plugins, same)) {
    throw Error(
        ErrorCode::kInvalidParams,
        "document " + status.id + " was opened with other plugins or options; resume it with the same ones");
  }
  auto point = journal_.resume_point(status.id);
  const auto& model = *document.revision->model;
  if (!opening.checkpoint.empty() && opening.checkpoint != model.info().checkpoint)
    throw other_checkpoint(status, *document.revision);
  if (request.total_bytes) status.total_bytes = request.total_bytes;
  auto read = journal_.read_prefix(status.id);
  if (opening.snapshot) {
    const auto origin = journal_.snapshot(*opening.snapshot);
    return go_on(document, origin, std::move(point), std::move(read), opened);
  }
  opened.resume_bytes = point.segment_begin;
  if (const auto prefix = Sha256::load(point.prefix)) opened.resume_sha256 = prefix->digest();
  document.reader->resume(point, std::move(read), status, model);
}

/// The bytes of a document's state that cannot be evicted while it is open.
std::uint64_t EngineCore::fixed_bytes(const BlockModel& model) const {
  return journal_.durable() ? 0 : model.info().state_bytes;
}

void EngineCore::reserve(const DocumentRequest& request, std::uint64_t fixed_bytes) {
  const std::lock_guard lock(mutex_);
  if (draining_)
    throw Error(ErrorCode::kShuttingDown, "the daemon is stopping; try again when it has restarted");
  if (!disk_is_full_.empty()) throw NoRoomError(disk_is_full_);
  if (request.resume && forgetting_.contains(*request.resume)) throw unknown_document(*request.resume);
  if (request.resume && (open_.contains(*request.resume) || resuming_.contains(*request.resume))) {
    throw being_read(*request.resume);
  }
  if (request.resume) resuming_.insert(*request.resume);
  try {
    usage_->open(request.owner, fixed_bytes);
  } catch (...) {
    if (request.resume) resuming_.erase(*request.resume);
    throw;
  }
}

void EngineCore::unreserve(const DocumentRequest& request, std::uint64_t fixed_bytes) {
  const std::lock_guard lock(mutex_);
  usage_->close(request.owner, fixed_bytes);
  if (request.resume) resuming_.erase(*request.resume);
}

Opened EngineCore::open(DocumentRequest request, std::shared_ptr<DocumentListener> listener,
                        AcceptFunction accepted) {
  check_plugins(request);
  auto document = std::make_shared<OpenDocument>();
  document->revision = request.revision ? request.revision : revision();
  const auto fixed = fixed_bytes(*document->revision->model);
  document->listener = std::move(listener);
  document->flush_after = request.flush_after;
  document->predict_next = request.predict_next;
  document->keep_outputs = request.keep_outputs;
  document->started = options.now();
  if (request.deadline) document->deadline = document->started + *request.deadline;

  if (takes_too_much_of_journal(request.owner)) throw too_much_in_journal(request.resume.value_or(""));
  reserve(request, fixed);
  Opened opened;
  try {
    document->reader = std::make_unique<DocumentReader>(document->revision->vocabulary,
                                                        document->revision->plugins, request.plugins);
    if (request.resume) {
      resume(*document, request, opened);
      document->in_journal = true;
    } else {
      begin(*document, request);
      if (request.from) go_on(*document, find_origin(*document, request), {}, {}, opened);
      document->accepted = accepted;
    }
    if (request.snapshot) want_end_snapshot(*document, *request.snapshot);
    document->received = document->taken = opened.resume_bytes;
    document->tokens_before = document->reader->tokens();
    opened.id = document->status.id;
    opened.next_sequence = document->status.outputs;
    if (request.text) put_text(*document, *std::move(request.text), opened);
    add_open(std::move(document), request);
  } catch (...) {
    unreserve(request, fixed);
    throw;
  }
  if (request.resume && accepted) accepted(nullptr, opened);
  return opened;
}

/// The document is not visible to other threads yet.
void EngineCore::put_text(OpenDocument& document, std::string text, const Opened& opened) const {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kSource, "document " + opened.id + ": " + what);
  };
  if (text.size() < opened.resume_bytes) refuse(too_few_bytes(opened.resume_bytes));
  Sha256 prefix;
  prefix.add(std::string_view(text).substr(0, opened.resume_bytes));
  if (!opened.resume_sha256.empty() && prefix.digest() != opened.resume_sha256)
    refuse(other_bytes(opened.resume_bytes));
  if (text.size() > options.max_document_bytes) throw too_long(document.status.id);
  text.erase(0, document.received);
  document.received += text.size();
  document.inbox_bytes = text.size();
  if (!text.empty()) document.inbox.push_back(std::move(text));
  document.ended = true;
}

/// All or, if it throws, nothing.
void EngineCore::add_open(OpenDocumentPtr document, const DocumentRequest& request) {
  const std::lock_guard lock(mutex_);
  document->number = next_number_++;
  touch_locked(document);
  const auto bytes = static_cast<std::int64_t>(document->inbox_bytes);
  open_.emplace(document->status.id, std::move(document));
  usage_->add_buffered(request.owner, bytes);
  if (request.resume) resuming_.erase(*request.resume);
}

}  // namespace unroll
