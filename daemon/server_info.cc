#include "daemon/server_info.h"

#include <cstdint>
#include <fstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "daemon/protocol.h"

namespace unroll {

using nlohmann::json;

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double uptime_seconds(const ServerContext& context) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - context.started).count();
}

json model_to_json(const ModelInfo& model) {
  return {{"name", model.name},
          {"checkpoint", model.checkpoint},
          {"parameters", model.parameters},
          {"num_tokens", model.num_tokens},
          {"dim", model.dim},
          {"depth", model.depth},
          {"block_width", model.block_width},
          {"device", model.device},
          {"dtype", model.dtype},
          {"state_bytes", model.state_bytes}};
}

json server_info(const ServerContext& context) {
  const Revision revision = context.engine.revision();
  json plugins = json::array();
  for (const PluginInfo& plugin : revision.plugins->plugins()) {
    plugins.push_back(
        {{"name", plugin.name}, {"version", plugin.version}, {"description", plugin.description}});
  }
  const Config& config = context.config;
  return {{"version", UNROLL_VERSION},
          {"protocol", kProtocolVersion},
          {"pid", ::getpid()},
          {"model", model_to_json(revision.model->info())},
          {"plugins", std::move(plugins)},
          {"limits",
           {{"line_bytes", kMaxLineBytes},
            {"document_bytes", config.max_document_bytes},
            {"documents", config.max_documents},
            {"documents_per_user", config.max_documents_per_user},
            {"documents_per_connection", config.max_documents_per_connection},
            {"buffered_bytes", config.max_buffered_bytes},
            {"buffered_bytes_per_user", config.max_buffered_bytes_per_user},
            {"memory_bytes", config.max_memory_bytes},
            {"memory_bytes_per_user", config.max_memory_bytes_per_user},
            {"connections", config.max_connections},
            {"connections_per_user", config.max_connections_per_user}}}};
}

json server_stats(const ServerContext& context) {
  const EngineStats stats = context.engine.stats();
  const WorkerCounts workers = context.engine.revision().plugins->worker_counts();
  return {{"open_documents", stats.open_documents},
          {"waiting_documents", stats.waiting_documents},
          {"documents_done", stats.documents_done},
          {"documents_failed", stats.documents_failed},
          {"blocks", stats.blocks},
          {"tokens", stats.tokens},
          {"bytes", stats.bytes},
          {"outputs", stats.outputs},
          {"commits", stats.commits},
          {"model_seconds", stats.model_seconds},
          {"plugin_seconds", stats.plugin_seconds},
          {"journal_seconds", stats.journal_seconds},
          {"buffered_bytes", stats.buffered_bytes},
          {"memory_bytes", stats.memory_bytes},
          {"documents_in_memory", stats.resident_documents},
          {"put_aways", stats.put_aways},
          {"reloads", stats.reloads},
          {"revisions", stats.revisions},
          {"workers_started", workers.started},
          {"workers_lost", workers.lost},
          {"connections", context.connections.size()},
          {"uptime_seconds", uptime_seconds(context)},
          {"resident_bytes", resident_bytes()}};
}

json documents_to_json(const std::vector<DocumentStatus>& documents) {
  json list = json::array();
  for (const DocumentStatus& status : documents) list.push_back(status_to_json(status));
  return {{"documents", std::move(list)}};
}

}  // namespace unroll
