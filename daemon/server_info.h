// What the daemon tells about itself, as JSON. On the I/O thread.
#pragma once

#include <cstdint>
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
/// {documents: [...]}
nlohmann::json documents_to_json(const std::vector<DocumentStatus>& documents);

}  // namespace unroll
