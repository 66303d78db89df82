// Plugin instances in worker processes.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plugins/host.h"
#include "plugins/worker/worker_pool.h"

namespace unroll {

/// `name`: one of the pool's plugins. `options`: a JSON object as text. Throws PluginError.
std::unique_ptr<PluginInstance> create_in_worker(std::shared_ptr<WorkerPool> pool, const std::string& name,
                                                 std::string_view options, EmitFunction emit,
                                                 PluginLogFunction log);
/// The same, in a saved state (nullopt: none was saved), without waiting: the first call that needs it
/// creates it in a worker.
std::unique_ptr<PluginInstance> restore_in_worker(std::shared_ptr<WorkerPool> pool, const std::string& name,
                                                  std::string_view options,
                                                  std::optional<std::span<const std::byte>> state,
                                                  EmitFunction emit, PluginLogFunction log);

}  // namespace unroll
