// Information about the daemon as JSON. For the I/O thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/context.h"

namespace unroll {

/// {version, protocol, pid, model: {...}, models: [...], plugins: [...], limits: {...}}; `revision` is the
/// model's.
nlohmann::json server_info(const ServerContext& context, const Revision& revision);
/// Engine's counters, and connections, uptime_seconds, resident_bytes.
nlohmann::json server_stats(const ServerContext& context);
nlohmann::json model_to_json(const Revision& revision);
double uptime_seconds(const ServerContext& context);
std::uint64_t resident_bytes();  ///< Memory of this process.
inline constexpr std::int64_t kDefaultListed = 1000;
inline constexpr std::int64_t kMaxListed = 10'000;  ///< Limits the response to a few megabytes.
/// {documents: [...]}, the newest `limit`.
nlohmann::json documents_to_json(const std::vector<DocumentStatus>& documents, std::int64_t limit);
/// As OpenAI's GET /v1/models.
nlohmann::json api_models(const ServerContext& context);
/// Whether the engine's current launch of blocks has taken longer than stall_ms.
bool engine_stands_still(const ServerContext& context, const EngineStats& stats);
/// Why the daemon should be restarted; empty if it is healthy.
std::string ill_health(const ServerContext& context);
/// Why the daemon cannot accept documents; empty if it can.
std::string unreadiness(const ServerContext& context);

}  // namespace unroll
