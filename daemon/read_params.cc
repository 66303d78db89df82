#include "daemon/read_params.h"

#include <string>

#include "base/error.h"
#include "protocol/protocol.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxExpiryS = std::int64_t{3600} * 24 * 3650;
constexpr std::int64_t kMaxFlushAfterMs = std::int64_t{1000} * 3600 * 24;
constexpr std::int64_t kMaxDeadlineMs = std::int64_t{1000} * 3600 * 24 * 3650;

}  // namespace

std::vector<PluginRequest> read_plugins(const Params& params, bool required) {
  const json* list = params.find("plugins");
  if (list == nullptr && !required) return {};
  constexpr auto kForm = "a list of one or more {\"name\": ..., \"options\": {...}}";
  if (list == nullptr || !list->is_array() || (list->empty() && required)) params.refuse("plugins", kForm);
  std::vector<PluginRequest> plugins;
  for (const json& entry : *list) {
    if (!entry.is_object()) params.refuse("plugins", kForm);
    const std::string method = std::string(params.method()) + ": plugins";
    const Params plugin(method, entry, {"name", "options"});
    PluginRequest request{plugin.string("name")};
    if (const json* options = plugin.find("options")) {
      if (!options->is_object()) plugin.refuse("options", "an object");
      request.options = *options;
    }
    plugins.push_back(std::move(request));
  }
  return plugins;
}

std::optional<std::chrono::seconds> read_expiry(const Params& params) {
  const auto seconds = params.optional_integer("expires_s", 1, kMaxExpiryS);
  return seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
}

/// `fd` is true, or 0: the index among the descriptors that came with the line, of which there is one.
bool wants_descriptor(const Params& params) {
  const nlohmann::json* value = params.find("fd");
  if (value == nullptr) return false;
  if (*value != nlohmann::json(true) && *value != nlohmann::json(0))
    params.refuse("fd", "true or 0: the descriptor comes with the line");
  return true;
}

SnapshotRequest read_snapshot_request(const Params& params) {
  return {params.string("name"), read_expiry(params)};
}

DocumentRequest read_request(const Params& params, std::uint32_t owner) {
  DocumentRequest request;
  request.from = params.optional_string("from");
  if (const json* snapshot = params.find("snapshot")) {
    if (!snapshot->is_object()) params.refuse("snapshot", "{\"name\": ..., \"expires_s\": ...}");
    request.snapshot =
        read_snapshot_request(Params("document.open: snapshot", *snapshot, {"name", "expires_s"}));
  }
  request.plugins = read_plugins(params, !request.snapshot);
  request.name = params.optional_string("name").value_or("");
  if (request.name.size() > kMaxNameBytes) {
    params.refuse("name", "at most " + std::to_string(kMaxNameBytes) + " bytes long");
  }
  request.owner = owner;
  request.priority = static_cast<int>(params.optional_integer("priority", -10, 10).value_or(0));
  if (const auto deadline = params.optional_integer("deadline_ms", 1, kMaxDeadlineMs)) {
    request.deadline = std::chrono::milliseconds(*deadline);
  }
  if (const auto bytes = params.optional_integer("total_bytes", 0, INT64_MAX)) {
    request.total_bytes = static_cast<std::uint64_t>(*bytes);
  }
  if (const auto quiet = params.optional_integer("flush_after_ms", 1, kMaxFlushAfterMs)) {
    request.flush_after = std::chrono::milliseconds(*quiet);
  }
  if (const auto kept = params.optional_integer("keep_outputs", 0, INT64_MAX)) {
    request.keep_outputs = static_cast<std::uint64_t>(*kept);
  }
  request.resume = params.optional_string("resume");
  return request;
}

}  // namespace unroll
