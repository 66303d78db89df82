// A connection of the daemon as its peer sees it: the real session and engine, with plugins in this process
// and the tests' hash model. Nothing outlives the connection, so an input always has the same effect.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "daemon/connection.h"
#include "tests/fuzz/input.h"

namespace unroll::fuzz {

/// The tests' vocabulary and the built-in plugins, loaded once.
const std::shared_ptr<const Vocabulary>& vocabulary();
const std::shared_ptr<const PluginRegistry>& plugins();

using MakeSession = std::function<std::shared_ptr<Connection>(ServerContext&, Socket)>;

/// Sends `bytes` in pieces, then ends. Returns everything received until the session closes, which it must.
std::string answers_to(std::string_view bytes, std::size_t piece, const MakeSession& make_session);
template <class Session>
std::string answers_to(std::string_view bytes, std::size_t piece) {
  return answers_to(bytes, piece, [](ServerContext& context, Socket socket) {
    return std::make_shared<Session>(context, std::move(socket), ::geteuid());
  });
}

}  // namespace unroll::fuzz
