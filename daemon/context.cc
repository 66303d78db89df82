#include "daemon/context.h"

#include <algorithm>

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fair_share.h"
#include "daemon/connection.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

constexpr std::size_t kParsers = 2;
constexpr std::size_t kJournalJobs = 6, kJournalJobsPerUser = 2;
constexpr std::size_t kOpenersPerUser = 4;
/// Reserved for root and the daemon's user: enough for a reload, health checks and an administrator.
constexpr std::int64_t kReservedConnections = 8;
/// Reserved for the journal, plugin workers, source readers and loading a model.
constexpr std::int64_t kOwnDescriptors = 200;

/// The configured number, limited by the available descriptors: without any, not even root could connect.
std::int64_t connections_that_fit(const Config& config) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return config.max_connections;
  const auto room =
      std::max(static_cast<std::int64_t>(limit.rlim_cur) - kOwnDescriptors, kReservedConnections * 2);
  if (room < config.max_connections)
    spdlog::warn("at most {} connections, not {} (limits.connections): RLIMIT_NOFILE is {}", room,
                 config.max_connections, limit.rlim_cur);
  return std::min(config.max_connections, room);
}

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
      journal_jobs(kJournalJobs, kJournalJobsPerUser),
      openers(static_cast<std::size_t>(config.max_openings), kOpenersPerUser),
      most_connections(connections_that_fit(config)) {}

void ServerContext::check_connections(std::uint32_t owner) const {
  const auto refuse = [](std::string_view key, std::int64_t limit) {
    throw LimitError("too many connections are open", key, static_cast<std::uint64_t>(limit),
                     "try again later");
  };
  const auto owned =
      std::ranges::count_if(connections, [&](const auto& entry) { return entry.first->owner() == owner; });
  const auto own = static_cast<std::size_t>(owned) + greeting.count(owner);
  const auto all = connections.size() + greeting.size();
  const auto most = static_cast<std::uint64_t>(most_connections);
  const auto reserved = static_cast<std::uint64_t>(std::min(kReservedConnections, most_connections / 4));
  const bool privileged = owner == 0 || owner == ::geteuid();
  if (privileged ? all > most : !is_fair_share(own, all, most - reserved))
    refuse("limits.connections", most_connections);
  if (own > static_cast<std::uint64_t>(config.max_connections_per_user))
    refuse("limits.connections_per_user", config.max_connections_per_user);
}

}  // namespace unroll
