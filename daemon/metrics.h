// What Prometheus reads at /metrics: its text format, version 0.0.4. On the I/O thread.
#pragma once

#include <string>

#include "daemon/context.h"

namespace unroll {

std::string metrics_text(const ServerContext& context);

}  // namespace unroll
