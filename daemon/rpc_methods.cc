#include <algorithm>
#include <array>
#include <utility>

#include <boost/asio/post.hpp>
#include <unistd.h>

#include "base/base64.h"
#include "daemon/open_document.h"
#include "daemon/openrpc.h"
#include "daemon/own_documents.h"
#include "daemon/read_params.h"
#include "daemon/resume_files.h"
#include "daemon/rpc_session.h"
#include "daemon/server_info.h"

namespace unroll {
namespace asio = boost::asio;

using nlohmann::json;

std::span<const RpcSession::Method> RpcSession::methods() {
  static constexpr std::array kMethods = {
      Method{method::kOpen, &RpcSession::open},
      Method{method::kOpenMany, &RpcSession::open_many},
      Method{method::kAppend, &RpcSession::append},
      Method{method::kEnd, &RpcSession::end},
      Method{method::kStatus, &RpcSession::status},
      Method{method::kList, &RpcSession::list},
      Method{method::kCancel, &RpcSession::cancel},
      Method{method::kDelete, &RpcSession::remove},
      Method{method::kAttach, &RpcSession::attach},
      Method{method::kInfo, &RpcSession::info},
      Method{method::kStats, &RpcSession::stats},
      Method{method::kReload, &RpcSession::reload},
      Method{method::kPing, &RpcSession::ping},
      Method{method::kSnapshotCreate, &RpcSession::create_snapshot},
      Method{method::kSnapshotList, &RpcSession::list_snapshots},
      Method{method::kSnapshotDelete, &RpcSession::delete_snapshot},
      Method{method::kSnapshotExport, &RpcSession::export_snapshot},
      Method{method::kSnapshotImport, &RpcSession::import_snapshot},
      Method{method::kDiscover, &RpcSession::discover},
  };
  return kMethods;
}

void RpcSession::check_documents(std::size_t more) const {
  const auto limit = static_cast<std::uint64_t>(context_.config.max_documents_per_connection);
  if (documents_.size() + opening_.size() + more <= limit) return;
  throw LimitError("this connection has too many documents", "limits.documents_per_connection", limit,
                   "wait until one is done, or open another connection");
}

/// Takes the descriptor that came with the line.
DocumentSource RpcSession::claim_source() {
  Attachment came = std::exchange(attachment_, {});
  if (came.error) std::rethrow_exception(came.error);
  if (came.descriptors > 1) {
    throw Error(ErrorCode::kInvalidParams, "more than one descriptor came with the line; send one");
  }
  if (!came.source) {
    throw Error(ErrorCode::kInvalidParams,
                "no descriptor came with the line; send it in the same sendmsg (SCM_RIGHTS)");
  }
  return *std::move(came.source);
}

/// Of 'text' and 'fd', and 'stream' if the method has it, one is given.
void RpcSession::read_source(const Params& params, Opening& opening) {
  opening.text = params.optional_string("text");
  if (wants_descriptor(params)) opening.source = claim_source();
  const bool stream = params.optional_bool("stream").value_or(false);
  if ((opening.text ? 1 : 0) + (opening.source ? 1 : 0) + (stream ? 1 : 0) == 1) return;
  throw Error(
      ErrorCode::kInvalidParams,
      opening.creates
          ? "snapshot.create: give one of 'document', 'text' and 'fd', what to make a snapshot of"
          : "document.open: give one of 'text', 'fd' and 'stream', where the document's bytes come from");
}

std::optional<json> RpcSession::open(const Request& request) {
  const Params params(method::kOpen, request.params,
                      {"plugins", "text", "fd", "stream", "model", "name", "priority", "deadline_ms",
                       "flush_after_ms", "keep_outputs", "total_bytes", "resume", "from", "snapshot"});
  Opening opening;
  read_source(params, opening);
  check_documents();
  opening.document = read_request(params, owner_);
  if (opening.document.resume) check_owner(context_.engine, *opening.document.resume, owner_);
  opening.model = params.optional_string("model").value_or("");
  begin_opening(request, std::move(opening));
  return std::nullopt;
}

/// Answers when the document is open.
void RpcSession::begin_opening(const Request& request, Opening opening) {
  auto& document = opening.document;
  if (opening.source) {
    if (opening.source->bytes) document.total_bytes = opening.source->bytes;
    if (opening.source->location) document.source = describe_source(*opening.source->location, document);
  }
  const bool has_text = opening.text.has_value();
  if (has_text) document.total_bytes = opening.text->size();
  // If it has to wait for its model, so do later requests: their texts would have to be kept.
  const bool at_once =
      has_text && !document.resume && !document.from && context_.models.is_loaded(opening.model);
  document.text = std::move(opening.text);

  auto subscription = std::make_shared<Subscription>(
      context_.surroundings(), std::static_pointer_cast<RpcSession>(shared_from_this()), owner(), queued_);
  auto answers = std::make_shared<std::function<void()>>();
  if (has_text) opening_.push_back(answers);
  if (!at_once) answering_ = true;  // later requests on this connection may refer to this document
  open_document(context_, opening.model, std::move(document), subscription,
                [this, self = shared_from_this(), asked = without_params(request), subscription, has_text,
                 at_once, answers, creates = opening.creates, source = std::move(opening.source)](
                    const std::exception_ptr& failure, const Opened& opened) mutable {
                  if (!has_text) {
                    return answer_later(asked, [&] {
                      if (failure) std::rethrow_exception(failure);
                      return adopt(asked, opened, subscription, false, creates, std::move(source));
                    });
                  }
                  if (!at_once) {
                    answering_ = false;
                    share_.reset();
                  }
                  *answers = [this, asked, subscription, failure, opened, creates] {
                    answer(asked, [&] {
                      if (failure) std::rethrow_exception(failure);
                      return adopt(asked, opened, subscription, true, creates, std::nullopt);
                    });
                  };
                  answer_opened();
                });
}

/// Answers requests at the front whose documents were accepted or refused.
void RpcSession::answer_opened() {
  while (!opening_.empty() && *opening_.front()) {
    const auto answers = std::move(opening_.front());
    opening_.pop_front();
    (*answers)();
  }
  signal();
}

/// The document is open; meanwhile the peer may have disconnected, or the daemon may be stopping.
std::optional<json> RpcSession::adopt(const Request& request, const Opened& opened,
                                      std::shared_ptr<Subscription> subscription, bool has_text, bool creates,
                                      std::optional<DocumentSource> source) {
  auto& document = documents_[opened.id];
  document = Document{subscription, nullptr, true, has_text, {}};
  if (creates) document.creates = request;
  subscription->start(opened.id, opened.next_sequence);
  if (source) start_input(opened, *std::move(source));
  if (!is_open()) on_gone();
  if (stopping_) asio::post(context_.io, [this, self = shared_from_this()] { shut_down(); });
  if (creates) return std::nullopt;
  json answer = {{"document", opened.id}, {"next_sequence", opened.next_sequence}};
  add_resume_point(answer, opened);
  return answer;
}

/// Whatever goes wrong with the first bytes fails the document, which is open already: its listener hears of
/// it.
void RpcSession::start_input(const Opened& opened, DocumentSource source) {
  try {
    documents_[opened.id].feed = DocumentFeed::start(context_, std::move(source), opened);
  } catch (const Error& error) {
    context_.engine.cancel(opened.id, error);
  }
}

void RpcSession::append_bytes(const DocumentId& id, std::string bytes, const Request* request) {
  auto ticket = std::make_shared<Ticket>();
  ticket->document = id;
  if (request != nullptr) {
    ticket->request_id = request->id;
    ticket->answer = request->has_id;
  }
  std::weak_ptr<RpcSession> weak = std::static_pointer_cast<RpcSession>(shared_from_this());
  context_.engine.append(id, std::move(bytes), [&io = context_.io, weak, ticket] {
    asio::post(io, [weak, ticket] {
      if (const auto self = weak.lock()) self->release(ticket);
    });
  });
  tickets_.insert(ticket);  // before the posted release can run, on this thread
}

std::optional<json> RpcSession::append(const Request& request) {
  const Params params(method::kAppend, request.params, {"document", "text", "base64"});
  const DocumentId id = params.string("document");
  check_owner(context_.engine, id, owner_);
  auto text = params.optional_string("text");
  const auto encoded = params.optional_string("base64");
  if (text.has_value() == encoded.has_value()) {
    throw Error(ErrorCode::kInvalidParams, "document.append: give one of 'text' and 'base64'");
  }
  if (encoded) {
    text = base64_decode(*encoded);
    if (!text) params.refuse("base64", "base64 with padding and without whitespace");
  }
  if (text->empty()) return json::object();
  append_bytes(id, *std::move(text), &request);
  return std::nullopt;
}

std::optional<json> RpcSession::end(const Request& request) {
  const Params params(method::kEnd, request.params, {"document"});
  const DocumentId id = params.string("document");
  check_owner(context_.engine, id, owner_);
  context_.engine.end(id);
  if (const auto found = documents_.find(id); found != documents_.end()) found->second.ended = true;
  return json::object();
}

std::optional<json> RpcSession::status(const Request& request) {
  const Params params(method::kStatus, request.params, {"document"});
  const DocumentId id = params.string("document");
  check_owner(context_.engine, id, owner_);
  return status_of(context_.engine, id);
}

std::optional<json> RpcSession::list(const Request& request) {
  const Params params(method::kList, request.params, {"limit"});
  const auto limit = params.optional_integer("limit", 1, kMaxListed).value_or(kDefaultListed);
  answer_after(context_.parsers, request, [&engine = context_.engine, owner = owner_, limit] {
    return documents_to_json(engine.list({.owner = owner, .limit = static_cast<std::size_t>(limit)}), limit);
  });
  return std::nullopt;
}

std::optional<json> RpcSession::cancel(const Request& request) {
  const Params params(method::kCancel, request.params, {"document"});
  const DocumentId id = params.string("document");
  check_owner(context_.engine, id, owner_);
  if (cancel_open(context_.engine, id)) return json::object();
  answer_after(context_.journal_jobs, request, [&engine = context_.engine, id] {
    cancel_any(engine, id);
    return json::object();
  });
  return std::nullopt;
}

std::optional<json> RpcSession::remove(const Request& request) {
  const Params params(method::kDelete, request.params, {"document"});
  const DocumentId id = params.string("document");
  check_owner(context_.engine, id, owner_);
  answer_after(context_.journal_jobs, request, [&engine = context_.engine, id] {
    engine.remove(id);
    return json::object();
  });
  return std::nullopt;
}

std::optional<json> RpcSession::attach(const Request& request) {
  const Params params(method::kAttach, request.params, {"document", "from"});
  const DocumentId id = params.string("document");
  const auto from = static_cast<std::uint64_t>(params.optional_integer("from", 0, INT64_MAX).value_or(0));
  check_owner(context_.engine, id, owner_);
  if (!documents_.contains(id)) check_documents();
  auto subscription = attach_to(context_, std::static_pointer_cast<RpcSession>(shared_from_this()), owner(),
                                queued_, id, from);
  Document& document = documents_[id];
  if (document.subscription) document.subscription->detach();
  document.subscription = std::move(subscription);
  return status_to_json(context_.engine.status(id));
}

/// Loads the model that is named: its checkpoint and sizes are known only then.
std::optional<json> RpcSession::info(const Request& request) {
  const Params params(method::kInfo, request.params, {"model"});
  const auto model = params.optional_string("model").value_or("");
  answering_ = true;
  context_.models.ask(model,
                      [&io = context_.io, weak = weak_from_this(), this, asked = without_params(request)](
                          const std::exception_ptr& failure, const Models::RevisionPtr& revision) {
                        asio::post(io, [weak, this, asked, failure, revision] {
                          const auto self = weak.lock();
                          if (!self) return;
                          answer_later(asked, [&] {
                            if (failure) std::rethrow_exception(failure);
                            return server_info(context_, *revision);
                          });
                        });
                      });
  return std::nullopt;
}

std::optional<json> RpcSession::stats(const Request& request) {
  const Params params(method::kStats, request.params, {});
  return server_stats(context_);
}

std::optional<json> RpcSession::reload(const Request& request) {
  const Params params(method::kReload, request.params, {});
  if (owner_ != ::geteuid() && owner_ != 0) {
    throw Error(ErrorCode::kPermission,
                "server.reload is for root and the daemon's own user; ask the administrator");
  }
  answering_ = true;
  context_.reload(
      [weak = weak_from_this(), this, asked = without_params(request)](const std::optional<Error>& error) {
        const auto self = weak.lock();
        if (!self) return;
        answer_later(asked, [&] {
          if (error) throw Error(*error);
          return json{{"model", model_to_json(*context_.engine.revision())}};
        });
      });
  return std::nullopt;
}

std::optional<json> RpcSession::ping(const Request& request) {
  const Params params(method::kPing, request.params, {"loading"});
  params.optional_bool("loading");  // answered in any case: see loading_door.h
  return json::object();
}

std::optional<json> RpcSession::discover(const Request& request) {
  const Params params(method::kDiscover, request.params, {});
  json description = json::parse(kOpenRpc);
  for (const ErrorEntry& error : error_table()) {
    description["components"]["errors"][std::string(error.name)] = {{"code", static_cast<int>(error.code)},
                                                                    {"message", error.meaning}};
  }
  return description;
}

}  // namespace unroll
