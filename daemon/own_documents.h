// Documents of earlier requests, for the methods that name one by its id. Another user's document and a
// missing one give the same error.
#pragma once

#include <cstdint>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/document.h"
#include "daemon/context.h"
#include "daemon/subscription.h"

namespace unroll {

/// Throws Error(kDocumentUnknown).
void check_owner(const Engine& engine, const DocumentId& id, std::uint32_t owner);
/// Adds the point at which a document continues, for the results of document.open and document.status.
void add_resume_point(nlohmann::json& value, const Opened& point);
/// As document.status answers. Throws Error.
nlohmann::json status_of(const Engine& engine, const DocumentId& id);
/// A document that is being read fails at once; returns false if it is not.
bool cancel_open(Engine& engine, const DocumentId& id);
/// The same for one that waits to be resumed. May take long. Throws Error.
void cancel_any(Engine& engine, const DocumentId& id);
/// Delivers outputs from `from` on to the sink. Throws Error.
std::shared_ptr<Subscription> attach_to(ServerContext& context, std::weak_ptr<Subscription::Sink> sink,
                                        std::uint32_t owner, Subscription::QueuedBytes queued,
                                        const DocumentId& id, std::uint64_t from);

}  // namespace unroll
