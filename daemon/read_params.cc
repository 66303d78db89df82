#include "daemon/read_params.h"

#include "base/error.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxExpiryS = std::int64_t{3600} * 24 * 3650;

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

}  // namespace unroll
