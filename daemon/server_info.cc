#include "daemon/server_info.h"

#include <cstdint>
#include <fstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "protocol/protocol.h"

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

json model_to_json(const Revision& revision) {
  const ModelInfo& model = revision.model->info();
  return {{"name", revision.name},
          {"checkpoint", model.checkpoint},
          {"parameters", model.parameters},
          {"num_tokens", model.num_tokens},
          {"dim", model.dim},
          {"depth", model.depth},
          {"block_width", model.block_width},
          {"device", model.device},
          {"dtype", model.dtype},
          {"form", model.form},
          {"form_problem", model.form_problem},
          {"state_bytes", model.state_bytes}};
}

namespace {

json models_to_json(const ServerContext& context) {
  const EngineStats stats = context.engine.stats();
  json list = json::array();
  for (const Models::Listed& model : context.models.list()) {
    const auto counted = stats.models.find(model.name);
    list.push_back({{"name", model.name},
                    {"family", model.family},
                    {"parameters", model.parameters},
                    {"loaded", model.loaded},
                    {"bytes", model.bytes},
                    {"documents", counted == stats.models.end() ? 0 : counted->second.open_documents}});
  }
  return list;
}

}  // namespace

json server_info(const ServerContext& context, const Revision& revision) {
  json plugins = json::array();
  for (const PluginInfo& plugin : revision.plugins->plugins()) {
    plugins.push_back(
        {{"name", plugin.name}, {"version", plugin.version}, {"description", plugin.description}});
  }
  const Config& config = context.config;
  return {{"version", UNROLL_VERSION},
          {"protocol", kProtocolVersion},
          {"pid", ::getpid()},
          {"model", model_to_json(revision)},
          {"models", models_to_json(context)},
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
            {"journal_bytes_per_user", config.max_journal_bytes_per_user},
            {"snapshots_per_user", config.max_snapshots_per_user},
            {"model_memory_bytes", config.max_model_memory_bytes},
            {"connections", config.max_connections},
            {"connections_per_user", config.max_connections_per_user},
            {"descriptors_per_user", config.max_descriptors_per_user},
            {"line_bytes_per_user", config.max_line_bytes_per_user}}}};
}

json server_stats(const ServerContext& context) {
  const EngineStats stats = context.engine.stats();
  const WorkerCounts& workers = *context.events.workers;
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
          {"evictions", stats.evictions},
          {"put_aways", stats.evictions},  // its former name: protocol 1 has it
          {"reloads", stats.reloads},
          {"revisions", stats.revisions},
          {"workers_started", workers.started.load()},
          {"workers_lost", workers.lost.load()},
          {"connections", context.connections.size()},
          {"uptime_seconds", uptime_seconds(context)},
          {"resident_bytes", resident_bytes()}};
}

json documents_to_json(const std::vector<DocumentStatus>& documents, std::int64_t limit) {
  json list = json::array();
  for (const DocumentStatus& status : documents) {
    if (list.size() == static_cast<std::size_t>(limit)) break;
    list.push_back(status_to_json(status));
  }
  return {{"documents", std::move(list)}};
}

json api_models(const ServerContext& context) {
  json list = json::array();
  for (const Models::Listed& model : context.models.list())
    list.push_back({{"id", model.name}, {"object", "model"}, {"created", 0}, {"owned_by", "unroll"}});
  return {{"object", "list"}, {"data", std::move(list)}};
}

bool engine_stands_still(const ServerContext& context, const EngineStats& stats) {
  return stats.round_seconds * 1000 > static_cast<double>(context.config.stall_ms);
}

std::string ill_health(const ServerContext& context) {
  const EngineStats stats = context.engine.stats();
  if (!engine_stands_still(context, stats)) return {};
  return "the engine has been at one block for " +
         std::to_string(static_cast<std::int64_t>(stats.round_seconds)) +
         " s; the log says more, and systemd restarts the daemon if this continues";
}

std::string unreadiness(const ServerContext& context) {
  if (context.not_ready != nullptr) return std::string("the daemon is ") + context.not_ready;
  if (context.engine.revision()->plugins->plugins().empty())
    return "no plugin is loaded; the log says why, and plugins.directory names their folder";
  return ill_health(context);
}

}  // namespace unroll
