// Opens documents without blocking the I/O thread. Opening needs the model, which may have to be loaded
// first, a commit, for which no thread waits, and an answer of each plugin's worker.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "daemon/context.h"

namespace unroll {

using OpenedFunction = std::function<void(std::exception_ptr, const Opened&)>;

/// Calls Engine::open() on one of the openers when `model` is loaded; `done` gets the result on the I/O
/// thread. An empty name is the first model's, or, of a document that is resumed or goes on
/// from a snapshot, that of the one which has read it. For the I/O thread.
void open_document(ServerContext& context, const std::string& model, DocumentRequest request,
                   std::shared_ptr<DocumentListener> listener, OpenedFunction done);

}  // namespace unroll
