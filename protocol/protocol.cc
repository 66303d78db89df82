#include "protocol/protocol.h"

#include <array>
#include <limits>
#include <utility>

#include "base/hex.h"
#include "base/strict_json.h"
#include "protocol/broken_line.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::array kErrors = {
    ErrorEntry{ErrorCode::kParse, "parse", 400, "The line is not JSON.",
               "Send one JSON object per line, in UTF-8."},
    ErrorEntry{ErrorCode::kInvalidRequest, "invalid_request", 400, "JSON, but not a JSON-RPC 2.0 request.",
               "Send {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":...,\"params\":{...}}."},
    ErrorEntry{ErrorCode::kMethodNotFound, "method_not_found", 404, "There is no such method.",
               "See the list of methods in docs/protocol.md."},
    ErrorEntry{ErrorCode::kInvalidParams, "invalid_params", 400,
               "A parameter is missing, unknown or of another type.",
               "Correct the parameter that the message names."},
    ErrorEntry{ErrorCode::kInternal, "internal", 500, "Internal error.",
               "Look in the daemon's log and report the error."},
    ErrorEntry{ErrorCode::kDocumentUnknown, "document_unknown", 404,
               "There is no such document, or it belongs to another user.", "List yours with document.list."},
    ErrorEntry{ErrorCode::kDocumentState, "document_state", 409, "Not possible in the document's state.",
               "Check document.status; a document that has ended accepts no more bytes."},
    ErrorEntry{ErrorCode::kPluginUnknown, "plugin_unknown", 404, "No plugin of that name is loaded.",
               "List the plugins with server.info or `unroll plugin list`."},
    ErrorEntry{ErrorCode::kPluginFailed, "plugin_failed", 422,
               "A plugin refused its options or failed on a block.",
               "Read its message; other documents are not affected."},
    ErrorEntry{ErrorCode::kLimit, "limit", 413, "A limit of the daemon was reached; the message names it.",
               "Send less, or raise the limit in the daemon's configuration."},
    ErrorEntry{ErrorCode::kCancelled, "cancelled", 409, "The document was cancelled.",
               "To continue, open it again with resume."},
    ErrorEntry{ErrorCode::kDeadline, "deadline", 408, "The document's deadline expired.",
               "Give a longer deadline_ms, or resume the document."},
    ErrorEntry{ErrorCode::kSource, "source", 422, "The document's bytes could not be read.",
               "Check the file or pipe whose descriptor was sent."},
    ErrorEntry{ErrorCode::kJournal, "journal", 507, "The journal could not be written.",
               "Free space on its disk, check its permissions, then resume the document."},
    ErrorEntry{ErrorCode::kModel, "model", 500, "The model could not be loaded, or failed on a block.",
               "Look in the daemon's log; check the checkpoint with `unroll model info`."},
    ErrorEntry{ErrorCode::kShuttingDown, "shutting_down", 503,
               "The daemon is stopping and accepts no new documents.",
               "Try again when the daemon has restarted; resume open documents."},
    ErrorEntry{ErrorCode::kPermission, "permission", 403, "This user is not allowed to do that.",
               "Ask the administrator, or connect as another user."},
    ErrorEntry{ErrorCode::kPeerGone, "peer_gone", 499, "The client disconnected before the document's end.",
               "Resume the document and send the rest."},
    ErrorEntry{ErrorCode::kModelUnknown, "model_unknown", 404, "The daemon has no model of that name.",
               "List the models with server.info or `unroll status`."},
    ErrorEntry{ErrorCode::kSnapshotUnknown, "snapshot_unknown", 404,
               "There is no such snapshot, or it belongs to another user.", "List yours with snapshot.list."},
};

[[noreturn]] void refuse(ErrorCode code, const std::string& text) {
  throw Error(code, text);
}

/// Reads the request's fields; `id` is set as soon as it is known to be valid.
Request read_request(json message, json& id) {
  if (message.is_array()) {
    refuse(ErrorCode::kInvalidRequest, "batches are not supported; send one request per line");
  }
  if (!message.is_object()) refuse(ErrorCode::kInvalidRequest, "the line is not a JSON object");
  Request request;
  if (auto found = message.find("id"); found != message.end()) {
    if (!found->is_string() && !found->is_number() && !found->is_null()) {
      refuse(ErrorCode::kInvalidRequest, "'id' must be a string or a number");
    }
    request.has_id = true;
    request.id = id = *found;
  }
  auto version = message.find("jsonrpc");
  if (version == message.end() || *version != "2.0") {
    refuse(ErrorCode::kInvalidRequest, "'jsonrpc' must be \"2.0\"");
  }
  auto name = message.find("method");
  if (name == message.end() || !name->is_string())
    refuse(ErrorCode::kInvalidRequest, "'method' must be a string");
  request.method = std::move(name->get_ref<std::string&>());
  if (auto params = message.find("params"); params != message.end()) {
    if (!params->is_object())
      refuse(ErrorCode::kInvalidParams, "'params' must be an object of named parameters");
    request.params = std::move(*params);
  }
  return request;
}

json envelope() {
  return {{"jsonrpc", "2.0"}};
}

std::string line_of(const json& message) {
  std::string line = dump_json(message);
  line += '\n';
  return line;
}

}  // namespace

std::span<const ErrorEntry> error_table() {
  return kErrors;
}

const ErrorEntry& error_entry(ErrorCode code) {
  const ErrorEntry* internal = nullptr;
  for (const ErrorEntry& entry : kErrors) {
    if (entry.code == code) return entry;
    if (entry.code == ErrorCode::kInternal) internal = &entry;
  }
  return *internal;
}

json error_to_json(ErrorCode code, std::string_view text) {
  const ErrorEntry& entry = error_entry(code);
  // The text may quote the peer's input, which may be as long as a line.
  std::string message(text.substr(0, kMaxErrorBytes));
  if (message.size() < text.size()) message += "...";
  return {{"code", static_cast<int>(code)},
          {"message", std::move(message)},
          {"data", {{"name", entry.name}, {"advice", entry.advice}}}};
}

json error_to_json(const Error& error) {
  json value = error_to_json(error.code, error.what());
  if (const auto* limit = dynamic_cast<const LimitError*>(&error)) {
    value["data"]["limit"] = limit->key;
    value["data"]["value"] = limit->value;
  }
  return value;
}

Error error_from_json(const json& error) {
  if (!error.is_object()) return {ErrorCode::kInternal, "the daemon sent an error that is not an object"};
  auto code = error.find("code");
  auto message = error.find("message");
  return {code != error.end() && code->is_number_integer() ? static_cast<ErrorCode>(code->get<int>())
                                                           : ErrorCode::kInternal,
          message != error.end() && message->is_string() ? message->get<std::string>() : "no message"};
}

json parse_json(std::string_view text, std::size_t most_values) {
  try {
    // Both limits are checked while parsing: later recursion over a value is bounded, and too many values are
    // refused before they are allocated.
    return parse_strict_json(text, {.depth = kMaxJsonDepth, .values = most_values});
  } catch (const JsonError& error) {
    throw Error(ErrorCode::kParse, std::string(error.what()) + "; send one JSON object per line, in UTF-8");
  }
}

std::variant<Request, BadRequest> parse_request(std::string_view line) {
  json id;
  try {
    return read_request(parse_json(line, kMaxJsonValues), id);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kParse) return BadRequest{std::move(id), error};
    BrokenLine broken = look_at_broken(line);
    return BadRequest{std::move(broken.id), broken.surrogate ? *broken.surrogate : error};
  }
}

std::variant<Response, Notification> parse_message(std::string_view line) {
  json message = parse_json(line);
  if (!message.is_object()) refuse(ErrorCode::kParse, "the daemon's line is not a JSON object");
  if (auto name = message.find("method"); name != message.end()) {
    if (!name->is_string()) refuse(ErrorCode::kParse, "the daemon's line has a method that is not a string");
    return Notification{name->get<std::string>(), message.value("params", json::object())};
  }
  Response response;
  response.id = message.value("id", json());
  if (auto error = message.find("error"); error != message.end()) {
    response.error = error_from_json(*error);
  } else if (auto result = message.find("result"); result != message.end()) {
    response.result = std::move(*result);
  } else {
    refuse(ErrorCode::kParse, "the daemon's line is neither a response nor a notification");
  }
  return response;
}

std::string dump_json(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string request_line(const json& id, std::string_view method, const json& params) {
  json message = envelope();
  message["id"] = id;
  message["method"] = method;
  message["params"] = params;
  return line_of(message);
}

std::string result_line(const json& id, const json& result) {
  json message = envelope();
  message["id"] = id;
  message["result"] = result;
  return line_of(message);
}

std::string error_line(const json& id, const Error& error) {
  json message = envelope();
  message["id"] = id;
  message["error"] = error_to_json(error);
  return line_of(message);
}

std::string notification_line(std::string_view method, const json& params) {
  json message = envelope();
  message["method"] = method;
  message["params"] = params;
  return line_of(message);
}

std::string output_line(const DocumentId& id, const Output& output) {
  std::string line = R"({"jsonrpc":"2.0","method":"document.output","params":{"document":)";
  line += dump_json(id) + R"(,"plugin":)" + dump_json(output.plugin);
  line += R"(,"sequence":)" + std::to_string(output.sequence) + R"(,"data":)" + output.json + "}}\n";
  return line;
}

std::string progress_line(const DocumentStatus& status) {
  return notification_line(notification::kProgress, progress_to_json(status));
}

std::string finished_line(const DocumentStatus& status) {
  if (status.phase == DocumentPhase::kFailed) {
    json error = error_to_json(status.error_code.value_or(ErrorCode::kInternal), status.error);
    return notification_line(notification::kFailed, {{"document", status.id}, {"error", std::move(error)}});
  }
  return notification_line(notification::kDone,
                           {{"document", status.id}, {"summary", summary_to_json(status)}});
}

json status_to_json(const DocumentStatus& status) {
  constexpr std::array kPhases = {"open", "done", "failed"};
  json value = {{"document", status.id},
                {"name", status.name},
                {"model", status.model},
                {"priority", status.priority},
                {"phase", kPhases.at(static_cast<std::size_t>(status.phase))},
                {"bytes", status.bytes},
                {"tokens", status.tokens},
                {"outputs", status.outputs},
                {"tokens_per_second", status.tokens_per_second}};
  if (status.total_bytes) value["total_bytes"] = *status.total_bytes;
  if (status.phase == DocumentPhase::kFailed) {
    value["error"] = error_to_json(status.error_code.value_or(ErrorCode::kInternal), status.error);
  }
  return value;
}

DocumentStatus status_from_json(const json& value) {
  try {
    DocumentStatus status;
    status.id = value.at("document").get<std::string>();
    status.name = value.value("name", "");
    status.priority = value.value("priority", 0);
    status.model = value.value("model", "");
    const auto phase = value.value("phase", "open");
    status.phase = phase == "done"     ? DocumentPhase::kDone
                   : phase == "failed" ? DocumentPhase::kFailed
                                       : DocumentPhase::kOpen;
    status.bytes = value.value("bytes", std::uint64_t{0});
    status.tokens = value.value("tokens", std::uint64_t{0});
    status.outputs = value.value("outputs", std::uint64_t{0});
    status.tokens_per_second = value.value("tokens_per_second", 0.0);
    if (value.contains("total_bytes")) status.total_bytes = value["total_bytes"].get<std::uint64_t>();
    if (value.contains("error")) {
      const Error error = error_from_json(value["error"]);
      status.error_code = error.code;
      status.error = error.what();
    }
    return status;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kParse,
                std::string("the daemon's status of a document is damaged: ") + error.what());
  }
}

json progress_to_json(const DocumentStatus& status) {
  json value = {{"document", status.id},
                {"bytes", status.bytes},
                {"tokens", status.tokens},
                {"tokens_per_second", status.tokens_per_second}};
  if (status.total_bytes) value["total_bytes"] = *status.total_bytes;
  return value;
}

json summary_to_json(const DocumentStatus& status) {
  return {{"tokens", status.tokens},
          {"bytes", status.bytes},
          {"outputs", status.outputs},
          {"tokens_per_second", status.tokens_per_second}};
}

json plugins_to_json(std::span<const PluginRequest> plugins) {
  json list = json::array();
  for (const auto& plugin : plugins) list.push_back({{"name", plugin.name}, {"options", plugin.options}});
  return list;
}

json snapshot_to_json(const SnapshotInfo& info) {
  json value = {
      {"name", info.name},
      {"model", info.model},
      {"checkpoint", info.checkpoint},
      {"plugins", plugins_to_json(info.plugins)},
      {"bytes", info.bytes},
      {"sha256", to_hex({reinterpret_cast<const std::uint8_t*>(info.sha256.data()), info.sha256.size()})},
      {"created", info.created},
      {"kept_bytes", info.kept_bytes}};
  if (info.expires) value["expires"] = *info.expires;
  return value;
}

SnapshotInfo snapshot_from_json(const json& value) {
  try {
    SnapshotInfo info;
    value.at("name").get_to(info.name);
    info.model = value.value("model", "");
    info.checkpoint = value.value("checkpoint", "");
    for (const auto& plugin : value.value("plugins", json::array()))
      info.plugins.push_back({plugin.at("name").get<std::string>(), plugin.value("options", json::object())});
    info.bytes = value.value("bytes", std::uint64_t{0});
    info.created = value.value("created", std::int64_t{0});
    if (value.contains("expires")) info.expires = value["expires"].get<std::int64_t>();
    info.kept_bytes = value.value("kept_bytes", std::uint64_t{0});
    return info;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kParse,
                std::string("the daemon's description of a snapshot is damaged: ") + error.what());
  }
}

json snapshots_to_json(std::span<const SnapshotInfo> snapshots) {
  json list = json::array();
  for (const auto& info : snapshots) list.push_back(snapshot_to_json(info));
  return {{"snapshots", std::move(list)}};
}

void check_socket_path(const std::filesystem::path& path) {
  const std::string text = path.string();
  if (text.empty())
    throw Error(ErrorCode::kInvalidParams, "the socket's path is empty; give one with --socket");
  if (text.size() > kMaxSocketPathBytes) {
    throw Error(ErrorCode::kInvalidParams,
                "the socket's path '" + text + "' has " + std::to_string(text.size()) +
                    " bytes; a Unix socket's path has at most " + std::to_string(kMaxSocketPathBytes) +
                    "; give a shorter one with --socket");
  }
}

}  // namespace unroll
