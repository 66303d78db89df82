// Opens documents without blocking the I/O thread. Opening needs a commit, for which no thread waits, and an
// answer of each plugin's worker.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/post.hpp>

#include "daemon/context.h"

namespace unroll {

using OpenedFunction = std::function<void(std::exception_ptr, const Opened&)>;

/// Calls Engine::open() on one of the openers; `done` gets the result on the I/O thread.
inline void open_document(ServerContext& context, DocumentRequest request,
                          std::shared_ptr<DocumentListener> listener, OpenedFunction done) {
  const auto owner = request.owner;
  context.openers.post(owner, [&io = context.io, &engine = context.engine, request = std::move(request),
                               listener = std::move(listener), done = std::move(done)]() mutable {
    engine.open(std::move(request), std::move(listener),
                [&io, done = std::move(done)](const std::exception_ptr& failure, const Opened& opened) {
                  boost::asio::post(io, [done, failure, opened] { done(failure, opened); });
                });
  });
}

}  // namespace unroll
