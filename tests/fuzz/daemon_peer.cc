#include "tests/fuzz/daemon_peer.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <spdlog/spdlog.h>

#include "tests/engine/hash_model.h"

namespace unroll::fuzz {
namespace asio = boost::asio;
namespace {

asio::awaitable<void> send_all(Socket& peer, std::string_view bytes, std::size_t piece) {
  boost::system::error_code error;
  while (!bytes.empty() && !error) {
    const auto part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    co_await asio::async_write(peer, asio::buffer(part), asio::redirect_error(asio::use_awaitable, error));
    co_await asio::post(asio::use_awaitable);  // lets the session run
  }
  peer.shutdown(Socket::shutdown_send, error);
}

asio::awaitable<void> receive_all(Socket& peer, std::string& answers) {
  boost::system::error_code error;
  std::string part(64 * 1024, '\0');
  while (!error) {
    const auto count =
        co_await peer.async_read_some(asio::buffer(part), asio::redirect_error(asio::use_awaitable, error));
    answers.append(part, 0, count);
  }
  peer.close(error);
}

}  // namespace

const std::shared_ptr<const Vocabulary>& vocabulary() {
  static const auto loaded =
      Vocabulary::load(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model");
  return loaded;
}

const std::shared_ptr<const PluginRegistry>& plugins() {
  static const std::shared_ptr<const PluginRegistry> loaded = [] {
    const auto registry = std::make_shared<PluginRegistry>();
    require(registry->load_directory(default_plugin_directory()).empty(), "the built-in plugins load");
    registry->set_log([](int, std::string_view, std::string_view) {});
    return registry;
  }();
  return loaded;
}

std::string answers_to(std::string_view bytes, std::size_t piece, const MakeSession& make_session) {
  constexpr std::chrono::seconds kPatience{20};
  spdlog::set_level(spdlog::level::off);
  const Config config;
  std::string answers;
  asio::io_context io;
  Events events;
  EngineOptions options;
  options.new_id = [next = 0]() mutable { return "d" + std::to_string(next++); };  // an input can name these
  Engine engine({std::make_shared<HashModel>(), vocabulary(), plugins()}, options);
  const auto context = std::make_shared<ServerContext>(io, engine, config, events);
  context->models.set({{"hash"}}, engine.revision());
  context->reload = [&](const Reloader::Done& done) {
    asio::post(io, [&engine, done] {
      engine.reload(*engine.revision());
      done(std::nullopt);
    });
  };
  asio::local::stream_protocol::socket peer_end(io), served_end(io);
  asio::local::connect_pair(peer_end, served_end);
  Socket peer(std::move(peer_end)), served(std::move(served_end));
  make_session(*context, std::move(served))->start();
  asio::co_spawn(io, send_all(peer, bytes, piece), asio::detached);
  asio::co_spawn(io, receive_all(peer, answers), asio::detached);
  io.run_for(kPatience);
  require(io.stopped(), "a peer that sends nothing more and reads everything sees the connection's end");
  context->parsers.join();
  context->openers.join();
  return answers;
}

}  // namespace unroll::fuzz
