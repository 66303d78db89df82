#include "daemon/own_documents.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/sha256.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

/// Nullopt for a document that is being read or cannot be resumed.
std::optional<Opened> resume_point_of(const Engine& engine, const DocumentId& id) {
  try {
    return engine.resume_point(id);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentState) throw;
    return std::nullopt;
  }
}

Error cancelled(const DocumentId& id) {
  return {ErrorCode::kCancelled, "document " + id + " was cancelled by its user"};
}

}  // namespace

void check_owner(const Engine& engine, const DocumentId& id, std::uint32_t owner) {
  if (engine.status(id).owner != owner)
    throw Error(ErrorCode::kDocumentUnknown, "no document '" + id + "'; document.list lists yours");
}

void add_resume_point(nlohmann::json& value, const Opened& point) {
  value["resume_bytes"] = point.resume_bytes;
  if (!point.resume_sha256.empty()) value["resume_sha256"] = digest_text(point.resume_sha256);
}

nlohmann::json status_of(const Engine& engine, const DocumentId& id) {
  auto value = status_to_json(engine.status(id));
  if (const auto point = resume_point_of(engine, id)) add_resume_point(value, *point);
  return value;
}

bool cancel_open(Engine& engine, const DocumentId& id) {
  return engine.cancel(id, cancelled(id));
}

void cancel_any(Engine& engine, const DocumentId& id) {
  if (!cancel_open(engine, id)) engine.cancel_waiting(id, cancelled(id));
}

std::shared_ptr<Subscription> attach_to(ServerContext& context, std::weak_ptr<Subscription::Sink> sink,
                                        std::uint32_t owner, Subscription::QueuedBytes queued,
                                        const DocumentId& id, std::uint64_t from) {
  auto subscription =
      std::make_shared<Subscription>(context.surroundings(), std::move(sink), owner, std::move(queued));
  // The engine's thread replays only what is committed from now on: it works for all users.
  const auto committed = context.engine.status(id).outputs;
  context.engine.attach(id, std::max(from, committed), subscription);
  subscription->start(id, from, committed);
  return subscription;
}

}  // namespace unroll
