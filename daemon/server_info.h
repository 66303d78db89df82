// What the daemon tells about itself, as JSON. On the I/O thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/context.h"

namespace unroll {

/// {version, protocol, pid, model: {...}, plugins: [...], limits: {...}}
nlohmann::json server_info(const ServerContext& context);
/// Engine's counters, and connections, uptime_seconds, resident_bytes.
nlohmann::json server_stats(const ServerContext& context);
nlohmann::json model_to_json(const ModelInfo& model);
double uptime_seconds(const ServerContext& context);
std::uint64_t resident_bytes();  ///< Memory of this process.
inline constexpr std::int64_t kDefaultListed = 1000;
inline constexpr std::int64_t kMaxListed = 10'000;  ///< So that the answer is a line of few megabytes.
/// {documents: [...]}, the first so many.
nlohmann::json documents_to_json(const std::vector<DocumentStatus>& documents, std::int64_t limit);
/// The engine has been at one launch of blocks for longer than stall_ms.
bool engine_stands_still(const ServerContext& context, const EngineStats& stats);
/// Why somebody should restart the daemon; empty if it is well.
std::string ill_health(const ServerContext& context);
/// Why no new document should be sent here; empty if one can be.
std::string unreadiness(const ServerContext& context);

}  // namespace unroll
