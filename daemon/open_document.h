// Opening a document takes a commit and, for each plugin, an answer of its worker. The I/O thread waits for
// neither.
#pragma once

#include <memory>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>

#include "daemon/context.h"

namespace unroll {

/// Engine::open() on one of the openers. `token` hears of what came of it, `(std::exception_ptr, Opened)`, on
/// its own executor.
template <class CompletionToken>
auto open_document(ServerContext& context, DocumentRequest request,
                   std::shared_ptr<DocumentListener> listener, CompletionToken&& token) {
  return boost::asio::co_spawn(
      context.openers,
      [&engine = context.engine, request = std::move(request), listener = std::move(listener)]() mutable
      -> boost::asio::awaitable<Opened> { co_return engine.open(std::move(request), std::move(listener)); },
      std::forward<CompletionToken>(token));
}

}  // namespace unroll
