#include "daemon/server_info.h"

#include <cstdint>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "daemon/protocol.h"

namespace unroll {
namespace {

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

}  // namespace

json server_info(const ServerContext& context) {
  json plugins = json::array();
  for (const PluginInfo& plugin : context.engine.plugins().plugins()) {
    plugins.push_back(
        {{"name", plugin.name}, {"version", plugin.version}, {"description", plugin.description}});
  }
  const Config& config = context.config;
  return {{"version", UNROLL_VERSION},
          {"protocol", kProtocolVersion},
          {"pid", ::getpid()},
          {"model", model_to_json(context.engine.model_info())},
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
  return {{"open_documents", stats.open_documents},
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
          {"connections", context.connections.size()},
          {"uptime_seconds", uptime_seconds(context)},
          {"resident_bytes", resident_bytes()}};
}

std::string prometheus_text(const ServerContext& context) {
  const EngineStats stats = context.engine.stats();
  std::ostringstream text;
  text.precision(12);
  const auto metric = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    text << "# HELP unroll_" << name << ' ' << help << "\n# TYPE unroll_" << name << ' ' << type
         << "\nunroll_" << name << ' ' << value << '\n';
  };
  metric("documents_open", "gauge", "Documents that are open.", stats.open_documents);
  metric("documents_done_total", "counter", "Documents that were read to their end.", stats.documents_done);
  metric("documents_failed_total", "counter", "Documents that failed or were cancelled.",
         stats.documents_failed);
  metric("blocks_total", "counter", "Blocks that went through the model.", stats.blocks);
  metric("tokens_total", "counter", "Tokens that went through the model.", stats.tokens);
  metric("document_bytes_total", "counter", "Bytes of documents that went through the model.", stats.bytes);
  metric("outputs_total", "counter", "Outputs that plugins emitted.", stats.outputs);
  metric("journal_commits_total", "counter", "Transactions of the journal.", stats.commits);
  metric("model_seconds_total", "counter", "Time spent in the model.", stats.model_seconds);
  metric("plugin_seconds_total", "counter", "Time spent in plugins.", stats.plugin_seconds);
  metric("journal_seconds_total", "counter", "Time spent in the journal.", stats.journal_seconds);
  metric("buffered_bytes", "gauge", "Bytes of documents that wait to be read.", stats.buffered_bytes);
  metric("document_memory_bytes", "gauge", "Memory that open documents are counted with.",
         stats.memory_bytes);
  metric("documents_in_memory", "gauge", "Open documents whose state is not put away in the journal.",
         stats.resident_documents);
  metric("put_aways_total", "counter", "States that were put away in the journal.", stats.put_aways);
  metric("connections_open", "gauge", "Connections that are open.", context.connections.size());
  metric("uptime_seconds", "gauge", "Since the daemon started.", uptime_seconds(context));
  metric("resident_memory_bytes", "gauge", "Resident memory of the daemon.", resident_bytes());
  return text.str();
}

json documents_to_json(const std::vector<DocumentStatus>& documents) {
  json list = json::array();
  for (const DocumentStatus& status : documents) list.push_back(status_to_json(status));
  return {{"documents", std::move(list)}};
}

}  // namespace unroll
