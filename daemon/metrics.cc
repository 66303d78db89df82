#include "daemon/metrics.h"

#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>

#include <sys/resource.h>

#include "base/prometheus_text.h"
#include "daemon/server_info.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

void histogram(PrometheusText& metrics, std::string_view name, std::string_view help,
               const Histogram& values) {
  metrics.head(name, "histogram", help);
  const std::string bucket = std::string(name) + "_bucket";
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    below += values.buckets[i];
    std::ostringstream bound;
    bound << Histogram::kBounds[i];
    metrics.sample(bucket, below, {{"le", bound.str()}});
  }
  metrics.sample(bucket, values.count, {{"le", "+Inf"}});
  metrics.sample(std::string(name) + "_sum", values.sum);
  metrics.sample(std::string(name) + "_count", values.count);
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::size_t open_files() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (error) return 0;
  const auto count = std::distance(begin(files), end(files));
  return static_cast<std::size_t>(count) - 1;  // without the one that lists them
}

void add_documents(PrometheusText& metrics, const EngineStats& stats) {
  metrics.head("unroll_documents", "gauge", "Open documents by state.");
  metrics.sample("unroll_documents", stats.open_documents - stats.waiting_documents, {{"state", "reading"}});
  metrics.sample("unroll_documents", stats.waiting_documents, {{"state", "waiting_for_bytes"}});
  metrics.head("unroll_documents_finished_total", "counter", "Documents that have ended.");
  metrics.sample("unroll_documents_finished_total", stats.documents_done, {{"outcome", "done"}});
  metrics.sample("unroll_documents_finished_total", stats.documents_failed, {{"outcome", "failed"}});
  metrics.head("unroll_documents_failed_total", "counter", "Documents that failed, by error.");
  for (const ErrorEntry& error : error_table()) {
    const auto count = stats.failed_by_reason.find(error.code);
    metrics.sample("unroll_documents_failed_total", count == stats.failed_by_reason.end() ? 0 : count->second,
                   {{"reason", error.name}});
  }
  metrics.counter("unroll_document_bytes_total", "Bytes of documents that went through the model.",
                  stats.bytes);
  metrics.counter("unroll_tokens_total", "Tokens that went through the model.", stats.tokens);
  metrics.counter("unroll_blocks_total", "Blocks that went through the model.", stats.blocks);
  metrics.counter("unroll_outputs_total", "Outputs that plugins emitted.", stats.outputs);
  metrics.gauge("unroll_buffered_bytes", "Bytes of documents that wait to be read.", stats.buffered_bytes);
  metrics.gauge("unroll_document_memory_bytes", "Memory that open documents are counted with.",
                stats.memory_bytes);
  metrics.gauge("unroll_documents_in_memory", "Open documents whose state is not evicted to the journal.",
                stats.resident_documents);
  metrics.counter("unroll_evictions_total", "States that were evicted to the journal.", stats.evictions);
}

void add_models(PrometheusText& metrics, const ServerContext& context, const EngineStats& stats) {
  const auto models = context.models.list();
  const auto add = [&](std::string_view name, auto value_of) {
    for (const auto& model : models) {
      const auto counted = stats.models.find(model.name);
      metrics.sample(name, value_of(model, counted == stats.models.end() ? ModelStats() : counted->second),
                     {{"model", model.name}});
    }
  };
  using Listed = Models::Listed;
  metrics.head("unroll_model_loaded", "gauge", "1: the model is in memory.");
  add("unroll_model_loaded", [](const Listed& model, const ModelStats&) { return model.loaded ? 1 : 0; });
  metrics.head("unroll_model_bytes", "gauge", "Memory of the model's weights.");
  add("unroll_model_bytes", [](const Listed& model, const ModelStats&) { return model.bytes; });
  metrics.head("unroll_model_loads_total", "counter", "Times that the model was loaded.");
  add("unroll_model_loads_total", [](const Listed& model, const ModelStats&) { return model.loads; });
  metrics.head("unroll_model_load_seconds_total", "counter", "Time that loading took.");
  add("unroll_model_load_seconds_total",
      [](const Listed& model, const ModelStats&) { return model.load_seconds; });
  metrics.head("unroll_model_documents", "gauge", "Open documents of the model.");
  add("unroll_model_documents", [](const Listed&, const ModelStats& model) { return model.open_documents; });
  metrics.head("unroll_model_tokens_total", "counter", "Tokens that went through the model.");
  add("unroll_model_tokens_total", [](const Listed&, const ModelStats& model) { return model.tokens; });
  metrics.head("unroll_model_busy_seconds_total", "counter", "Time spent in the model.");
  add("unroll_model_busy_seconds_total",
      [](const Listed&, const ModelStats& model) { return model.seconds; });
}

void add_events(PrometheusText& metrics, const Events& events) {
  metrics.head("unroll_events_total", "counter",
               "Failed documents, lost workers, refusals and other events, by reason.");
  for (const auto& [name, count] : events.counts()) {
    metrics.sample("unroll_events_total", count, {{"event", name.first}, {"reason", name.second}});
  }
}

void add_times(PrometheusText& metrics, const EngineStats& stats) {
  histogram(metrics, "unroll_block_duration_seconds",
            "Duration of a block's launch, including blocks of other documents.", stats.block);
  histogram(metrics, "unroll_queue_wait_seconds", "Time that a document waited to be scheduled, per block.",
            stats.queue_wait);
  histogram(metrics, "unroll_journal_commit_duration_seconds", "Duration of a journal transaction.",
            stats.commit);
  metrics.counter("unroll_model_seconds_total", "Time spent in the model.", stats.model_seconds);
  metrics.counter("unroll_plugin_seconds_total", "Time spent in plugins.", stats.plugin_seconds);
  metrics.gauge("unroll_round_seconds", "Duration so far of the engine's current round; 0: it is idle.",
                stats.round_seconds);
}

}  // namespace

std::string metrics_text(const ServerContext& context) {
  const EngineStats stats = context.engine.stats();
  const auto revision = context.engine.revision();
  const WorkerCounts& workers = *context.events.workers;
  PrometheusText metrics;
  metrics.head("unroll_build_info", "gauge", "The daemon's version and its first model.");
  const ModelInfo& model = revision->model->info();
  metrics.sample("unroll_build_info", 1,
                 {{"version", UNROLL_VERSION},
                  {"model", revision->name},
                  {"checkpoint", model.checkpoint},
                  {"device", model.device},
                  {"dtype", model.dtype}});
  add_models(metrics, context, stats);
  add_documents(metrics, stats);
  add_times(metrics, stats);
  metrics.counter("unroll_plugin_workers_started_total", "Plugin workers started.", workers.started.load());
  metrics.counter("unroll_plugin_workers_lost_total", "Plugin workers that crashed, hung or were killed.",
                  workers.lost.load());
  add_events(metrics, context.events);
  metrics.gauge("unroll_plugins", "Loaded plugins.", revision->plugins->plugins().size());
  metrics.gauge("unroll_journal_bytes", "Size of the journal's files.", stats.journal_bytes);
  metrics.gauge("unroll_journal_largest_user_bytes",
                "What the documents of the user that has the most take in the journal.",
                stats.journal_largest_owner_bytes);
  metrics.gauge("unroll_journal_blocked", "1: the journal's disk is full, and reading waits for room.",
                stats.journal_blocked ? 1 : 0);
  metrics.gauge("unroll_engine_stands_still", "1: one block has taken longer than stall_ms.",
                engine_stands_still(context, stats) ? 1 : 0);
  metrics.counter("unroll_reloads_total", "Reloads of model and plugins.", stats.reloads);
  metrics.gauge("unroll_revisions", "Revisions (model and plugins) in use by open or new documents.",
                stats.revisions);
  metrics.gauge("unroll_connections", "Open connections.", context.connections.size());
  metrics.gauge("unroll_uptime_seconds", "Time since the daemon started.", uptime_seconds(context));
  metrics.counter("process_cpu_seconds_total", "CPU time in user and system mode.", cpu_seconds());
  metrics.gauge("process_resident_memory_bytes", "Resident memory of the daemon.", resident_bytes());
  metrics.gauge("process_open_fds", "Open file descriptors of the daemon.", open_files());
  return metrics.text();
}

}  // namespace unroll
