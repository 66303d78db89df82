// The metrics for /metrics, in Prometheus's text format, version 0.0.4. For the I/O thread only.
#pragma once

#include <string>

#include "daemon/context.h"

namespace unroll {

std::string metrics_text(const ServerContext& context);

}  // namespace unroll
