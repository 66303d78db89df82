// What the daemon tells about itself, as JSON and for Prometheus. On the I/O thread.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/context.h"

namespace unroll {

/// {version, protocol, pid, model: {...}, plugins: [...], limits: {...}}
nlohmann::json server_info(const ServerContext& context);
/// Engine's counters, and connections, uptime_seconds, resident_bytes.
nlohmann::json server_stats(const ServerContext& context);
/// The same in Prometheus's text format.
std::string prometheus_text(const ServerContext& context);
/// {documents: [...]}
nlohmann::json documents_to_json(const std::vector<DocumentStatus>& documents);

}  // namespace unroll
