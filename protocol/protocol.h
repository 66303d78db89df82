// protocol/: the messages that unrolld and its clients exchange over a Unix socket, without the sockets:
// JSON-RPC 2.0, one object per line. (HTTP/1.1, which the daemon also speaks, uses the same JSON values.)
// docs/protocol.md describes the protocol for users.
// All functions are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

#include "base/document.h"
#include "base/error.h"
#include "base/snapshot.h"

namespace unroll {

inline constexpr int kProtocolVersion = 1;
/// Limit on a line of JSON-RPC without its newline, in either direction. The daemon answers a longer line
/// with kLimit and closes the connection.
inline constexpr std::size_t kMaxLineBytes = 8u << 20;
/// Nesting of arrays and objects in one line.
inline constexpr int kMaxJsonDepth = 64;
/// Values in one line: far more than any request needs, and few enough to parse quickly.
inline constexpr std::size_t kMaxJsonValues = 10'000;
/// An error's text; longer text is cut.
inline constexpr std::size_t kMaxErrorBytes = 4096;
/// A document's name; long enough for a file's path.
inline constexpr std::size_t kMaxNameBytes = 4096;
/// Maximum data that a client sends in one document.append, so that the line stays below kMaxLineBytes even
/// in base64.
inline constexpr std::size_t kMaxAppendBytes = 4u << 20;
/// Longest path of a Unix socket: sockaddr_un's 108 bytes minus the NUL.
inline constexpr std::size_t kMaxSocketPathBytes = 107;

namespace method {
inline constexpr std::string_view kOpen = "document.open";
inline constexpr std::string_view kOpenMany = "document.open_many";
inline constexpr std::string_view kAppend = "document.append";
inline constexpr std::string_view kEnd = "document.end";
inline constexpr std::string_view kStatus = "document.status";
inline constexpr std::string_view kList = "document.list";
inline constexpr std::string_view kCancel = "document.cancel";
inline constexpr std::string_view kDelete = "document.delete";
inline constexpr std::string_view kAttach = "document.attach";
inline constexpr std::string_view kInfo = "server.info";
inline constexpr std::string_view kStats = "server.stats";
inline constexpr std::string_view kReload = "server.reload";
inline constexpr std::string_view kPing = "server.ping";
inline constexpr std::string_view kSnapshotCreate = "snapshot.create";
inline constexpr std::string_view kSnapshotList = "snapshot.list";
inline constexpr std::string_view kSnapshotDelete = "snapshot.delete";
inline constexpr std::string_view kSnapshotExport = "snapshot.export";
inline constexpr std::string_view kSnapshotImport = "snapshot.import";
inline constexpr std::string_view kDiscover = "rpc.discover";  ///< As in OpenRPC.
}  // namespace method

/// Notifications from the daemon. For each document: any number of kOutput (in order of sequence) and
/// kProgress, then exactly one kDone or kFailed, which is the last.
namespace notification {
inline constexpr std::string_view kOutput = "document.output";      ///< {document, plugin, sequence, data}
inline constexpr std::string_view kProgress = "document.progress";  ///< {document, bytes, total_bytes?,
                                                                    ///< tokens, tokens_per_second}
inline constexpr std::string_view kDone = "document.done";          ///< {document, summary}
inline constexpr std::string_view kFailed = "document.failed";  ///< {document, error: {code, message, data}}
}  // namespace notification

// --- Errors
// ----------------------------------------------------------------------------------------------------------

/// A row of the error table in docs/protocol.md.
struct ErrorEntry {
  ErrorCode code;
  std::string_view name;     ///< For programs: "document_unknown".
  int http_status;           ///< Sent over HTTP if the response has not started.
  std::string_view meaning;  ///< For people.
  std::string_view advice;   ///< What to do about it.
};

std::span<const ErrorEntry> error_table();
/// The row of a code; kInternal's row if the code is not in the table.
const ErrorEntry& error_entry(ErrorCode code);
/// {code, message, data: {name, advice}}, as in a response and in document.failed.
nlohmann::json error_to_json(ErrorCode code, std::string_view text);
/// As above; for a LimitError, `data` also has {limit, value}.
nlohmann::json error_to_json(const Error& error);
/// The inverse of error_to_json().
Error error_from_json(const nlohmann::json& error);

// --- Lines that a client sends
// ----------------------------------------------------------------------------------------

struct Request {
  nlohmann::json id;    ///< A string or a number; null for a notification.
  bool has_id = false;  ///< False: a notification, which is never answered.
  std::string method;
  nlohmann::json params = nlohmann::json::object();  ///< Always an object.
};

/// A line that is not a valid request; `id` is the request's if it could be read, else null.
struct BadRequest {
  nlohmann::json id;
  Error error;
};

/// Parses one line, without its newline. Does not throw, whatever the peer sends.
std::variant<Request, BadRequest> parse_request(std::string_view line);

/// Parses JSON with at most kMaxJsonDepth levels and `most_values` values. Throws Error(kParse).
nlohmann::json parse_json(std::string_view text,
                          std::size_t most_values = std::numeric_limits<std::size_t>::max());

// --- Lines that a client receives
// -----------------------------------------------------------------------------------

struct Response {
  nlohmann::json id;
  nlohmann::json result;  ///< Null if there is an error.
  std::optional<Error> error;
};

struct Notification {
  std::string method;
  nlohmann::json params;
};

/// Parses one line from the daemon, without its newline. Throws Error(kParse) if it is neither.
std::variant<Response, Notification> parse_message(std::string_view line);

// --- Writing lines: each ends with its newline
// -----------------------------------------------------------------------

std::string request_line(const nlohmann::json& id, std::string_view method, const nlohmann::json& params);
std::string result_line(const nlohmann::json& id, const nlohmann::json& result);
std::string error_line(const nlohmann::json& id, const Error& error);
std::string notification_line(std::string_view method, const nlohmann::json& params);
/// document.output; the output's JSON text is inserted unchanged.
std::string output_line(const DocumentId& id, const Output& output);
std::string progress_line(const DocumentStatus& status);
/// document.done or document.failed, depending on the phase.
std::string finished_line(const DocumentStatus& status);
/// Compact JSON. Does not fail: bytes that are not UTF-8 become U+FFFD.
std::string dump_json(const nlohmann::json& json);

// --- Values
// ----------------------------------------------------------------------------------------------------------

/// {document, name, model, priority, phase: "open"|"done"|"failed", bytes, total_bytes?, tokens, outputs,
/// tokens_per_second, error?}: the result of document.status, and each element of document.list's
/// {documents: [...]}.
nlohmann::json status_to_json(const DocumentStatus& status);
DocumentStatus status_from_json(const nlohmann::json& json);
/// {document, bytes, total_bytes?, tokens, tokens_per_second}: document.progress's parameters.
nlohmann::json progress_to_json(const DocumentStatus& status);
/// {tokens, bytes, outputs, tokens_per_second}: document.done's summary.
nlohmann::json summary_to_json(const DocumentStatus& status);
/// {name, model, checkpoint, plugins, bytes, sha256, created, expires?, kept_bytes}
nlohmann::json snapshot_to_json(const SnapshotInfo& info);
SnapshotInfo snapshot_from_json(const nlohmann::json& json);
/// {snapshots: [...]}
nlohmann::json snapshots_to_json(std::span<const SnapshotInfo> snapshots);
/// [{name, options}, ...]
nlohmann::json plugins_to_json(std::span<const PluginRequest> plugins);

// --- The socket's path
// ---------------------------------------------------------------------------------------------

/// Throws Error(kInvalidParams) if the path is empty or longer than kMaxSocketPathBytes.
void check_socket_path(const std::filesystem::path& path);

}  // namespace unroll
