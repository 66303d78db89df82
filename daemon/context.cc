#include "daemon/context.h"

#include <algorithm>

#include "protocol/protocol.h"

namespace unroll {
namespace {

constexpr std::size_t kParsers = 2;
/// Documents that are opened at the same time: each may wait for a slow plugin.
constexpr std::size_t kOpeners = 6;

}  // namespace

ServerContext::ServerContext(boost::asio::io_context& io, Engine& engine, const Config& config,
                             Events& events)
    : io(io),
      engine(engine),
      config(config),
      events(events),
      turns(std::make_shared<FairTurns>(io)),
      lines(std::make_shared<LineBudget>(std::max<std::size_t>(
          1, static_cast<std::size_t>(config.max_line_bytes_per_user) / kMaxLineBytes))),
      models(
          {static_cast<std::uint64_t>(config.max_model_memory_bytes),
           std::chrono::milliseconds(config.model_idle_ms)},
          [&events](const std::string& name, const Error& error) { events.model_not_loaded(name, error); }),
      sources(io,
              {static_cast<std::uint64_t>(config.max_descriptors_per_user),
               std::chrono::milliseconds(config.source_timeout_ms)},
              [&events](std::uint32_t owner) { events.reader_lost(owner); }),
      parsers(kParsers, 1),
      openers(kOpeners, kOpeners - 2) {}

}  // namespace unroll
