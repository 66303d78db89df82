// Plugin instances in worker processes.
#pragma once

#include <memory>
#include <string_view>

#include "plugins/host.h"
#include "plugins/worker/worker_pool.h"

namespace unroll {

/// `name`: one of the pool's plugins. `options`: a JSON object as text. Throws PluginError.
std::unique_ptr<PluginInstance> create_in_worker(std::shared_ptr<WorkerPool> pool, const std::string& name,
                                                 std::string_view options, EmitFunction emit,
                                                 PluginLogFunction log);

}  // namespace unroll
