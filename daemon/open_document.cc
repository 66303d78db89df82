#include "daemon/open_document.h"

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "daemon/on_io_thread.h"

namespace unroll {
namespace {

/// The model to ask for: by default the one that has read the beginning. One that the list has no more is
/// left to the first: it may be the same checkpoint by another name, which the engine checks.
std::string model_of(const ServerContext& context, const std::string& asked, const DocumentRequest& request) {
  if (!request.resume && request.from && asked.empty()) {
    const auto before = context.engine.find_snapshot(request.owner, *request.from).model;
    return context.models.has(before) ? before : "";
  }
  if (!request.resume) return asked;
  const auto before = context.engine.status(*request.resume).model;
  if (!asked.empty() && !before.empty() && asked != before) {
    throw Error(ErrorCode::kInvalidParams, "document " + *request.resume + " was opened with model '" +
                                               before + "', not '" + asked +
                                               "'; resume it with the same one");
  }
  return context.models.has(before) ? before : "";
}

}  // namespace

void open_document(ServerContext& context, const std::string& model, DocumentRequest request,
                   std::shared_ptr<DocumentListener> listener, OpenedFunction done) {
  const auto accept = on_io_thread(context.io, std::move(done));
  try {
    const auto name = model_of(context, model, request);
    const auto owner = request.owner;
    const auto shared = std::make_shared<DocumentRequest>(std::move(request));
    context.models.ask(name, [&context, owner, shared, listener = std::move(listener), accept](
                                 const std::exception_ptr& failure, Models::RevisionPtr revision) {
      if (failure) return accept(failure, {});
      shared->revision = std::move(revision);
      const auto open = [&engine = context.engine, shared, listener, accept] {
        engine.open(std::move(*shared), listener, accept);
      };
      const auto refuse = [accept, limit = context.config.max_openings] {
        const LimitError error("too many documents wait for plugins that do not start", "limits.openings",
                               static_cast<std::uint64_t>(limit),
                               "try again later; the daemon's log names plugins that hang");
        accept(std::make_exception_ptr(error), {});
      };
      context.openers.post(owner, open, refuse);
    });
  } catch (const Error&) {
    accept(std::current_exception(), {});
  }
}

}  // namespace unroll
