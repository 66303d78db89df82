// A daemon's connection as its peer sees it: the real session and the real engine, with the plugins in this
// process and the tests' model of hashes. Nothing outlives the connection, so that an input does the same
// each time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "daemon/context.h"
#include "tests/engine/hash_model.h"
#include "tests/fuzz/input.h"

namespace unroll::fuzz {

/// The vocabulary of unroll-small and the built-in plugins, loaded once.
const std::shared_ptr<const Vocabulary>& vocabulary();
const std::shared_ptr<const PluginRegistry>& plugins();

namespace asio = boost::asio;

inline asio::awaitable<void> send_all(Socket& peer, std::string_view bytes, std::size_t piece) {
  boost::system::error_code error;
  while (!bytes.empty() && !error) {
    const auto part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    co_await asio::async_write(peer, asio::buffer(part), asio::redirect_error(asio::use_awaitable, error));
    co_await asio::post(asio::use_awaitable);  // the session's turn
  }
  peer.shutdown(Socket::shutdown_send, error);
}

inline asio::awaitable<void> receive_all(Socket& peer, std::string& answers) {
  boost::system::error_code error;
  std::string part(64 * 1024, '\0');
  while (!error) {
    const auto count =
        co_await peer.async_read_some(asio::buffer(part), asio::redirect_error(asio::use_awaitable, error));
    answers.append(part, 0, count);
  }
  peer.close(error);
}

/// Sends `bytes` in pieces, then nothing more; returns all that came back until the session closed, which it
/// must.
template <class Session>
std::string answers_to(std::string_view bytes, std::size_t piece) {
  constexpr std::chrono::seconds kPatience{20};
  spdlog::set_level(spdlog::level::off);
  const Config config;
  std::string answers;
  asio::io_context io;
  asio::thread_pool readers(1);
  EngineOptions options;
  options.new_id = [next = 0]() mutable { return "d" + std::to_string(next++); };  // that an input can name
  Engine engine({std::make_shared<HashModel>(), vocabulary(), plugins()}, options);
  const auto context = std::make_shared<ServerContext>(io, readers, engine, config);
  context->reload = [&](const Reloader::Done& done) {
    asio::post(io, [&engine, done] {
      engine.reload(engine.revision());
      done(std::nullopt);
    });
  };
  Socket peer(io), served(io);
  asio::local::connect_pair(peer, served);
  std::make_shared<Session>(*context, std::move(served), ::geteuid())->start();
  asio::co_spawn(io, send_all(peer, bytes, piece), asio::detached);
  asio::co_spawn(io, receive_all(peer, answers), asio::detached);
  io.run_for(kPatience);
  require(io.stopped(), "a peer that sends nothing more and reads everything sees the connection's end");
  readers.join();
  return answers;
}

}  // namespace unroll::fuzz
