// daemon/: unrolld, the process that holds the model. Listens on a Unix socket, speaks JSON-RPC 2.0 (one
// object a line) and HTTP/1.1 there, and hands documents to the engine within limits. This header is the
// protocol itself, without sockets: what the daemon and its clients share. docs/protocol.md describes it for
// people. Everything here is pure and may be called from any thread.
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

namespace unroll {

inline constexpr int kProtocolVersion = 1;
/// A line of JSON-RPC, its newline not counted, in either direction. A longer one is answered with kLimit and
/// the connection is closed.
inline constexpr std::size_t kMaxLineBytes = 8u << 20;
/// Arrays and objects inside each other in one line.
inline constexpr int kMaxJsonDepth = 64;
/// Values in one line: far more than any request has, and few enough to be parsed in a moment.
inline constexpr std::size_t kMaxJsonValues = 10'000;
/// The text of an error; a longer one is cut.
inline constexpr std::size_t kMaxErrorBytes = 4096;
/// A document's name: that of a file with its folders fits.
inline constexpr std::size_t kMaxNameBytes = 4096;
/// What a client puts into one document.append at most, so that the line stays under kMaxLineBytes as base64,
/// too.
inline constexpr std::size_t kMaxAppendBytes = 4u << 20;
/// Longest path of a Unix socket: sockaddr_un's 108 bytes less the NUL.
inline constexpr std::size_t kMaxSocketPathBytes = 107;

namespace method {
inline constexpr std::string_view kOpen = "document.open";
inline constexpr std::string_view kAppend = "document.append";
inline constexpr std::string_view kEnd = "document.end";
inline constexpr std::string_view kStatus = "document.status";
inline constexpr std::string_view kList = "document.list";
inline constexpr std::string_view kCancel = "document.cancel";
inline constexpr std::string_view kAttach = "document.attach";
inline constexpr std::string_view kInfo = "server.info";
inline constexpr std::string_view kStats = "server.stats";
inline constexpr std::string_view kReload = "server.reload";
inline constexpr std::string_view kPing = "server.ping";
inline constexpr std::string_view kDiscover = "rpc.discover";  ///< OpenRPC's name for it.
}  // namespace method

/// Notifications from the daemon. For one document: any number of kOutput (in order of sequence) and
/// kProgress, then one kDone or kFailed, which is the last.
namespace notification {
inline constexpr std::string_view kOutput = "document.output";      ///< {document, plugin, sequence, data}
inline constexpr std::string_view kProgress = "document.progress";  ///< {document, bytes, total_bytes?,
                                                                    ///< tokens, tokens_per_second}
inline constexpr std::string_view kDone = "document.done";          ///< {document, summary}
inline constexpr std::string_view kFailed = "document.failed";  ///< {document, error: {code, message, data}}
}  // namespace notification

// --- Errors
// ----------------------------------------------------------------------------------------------------------

/// A row of the table of errors in docs/protocol.md.
struct ErrorEntry {
  ErrorCode code;
  std::string_view name;     ///< For programs: "document_unknown".
  int http_status;           ///< What the HTTP side answers where nothing was sent yet.
  std::string_view meaning;  ///< For people.
  std::string_view advice;   ///< What to do about it.
};

std::span<const ErrorEntry> error_table();
/// The row of a code; that of kInternal for one that is not in the table.
const ErrorEntry& error_entry(ErrorCode code);
/// {code, message, data: {name, advice}}, as in a response and in document.failed.
nlohmann::json error_to_json(ErrorCode code, std::string_view text);
/// The same; of a LimitError `data` has {limit, value}, too.
nlohmann::json error_to_json(const Error& error);
/// The Error that such an object stands for.
Error error_from_json(const nlohmann::json& error);

// --- Lines: what a peer sends
// ----------------------------------------------------------------------------------------

struct Request {
  nlohmann::json id;    ///< A string or a number; null for a notification.
  bool has_id = false;  ///< False: a notification, which is never answered.
  std::string method;
  nlohmann::json params = nlohmann::json::object();  ///< Always an object.
};

/// A line that is no request; `id` is that of the request where it could be read, else null.
struct BadRequest {
  nlohmann::json id;
  Error error;
};

/// One line, without its newline. Never throws for what a peer can send.
std::variant<Request, BadRequest> parse_request(std::string_view line);

/// JSON text with at most kMaxJsonDepth levels and so many values. Throws Error(kParse).
nlohmann::json parse_json(std::string_view text,
                          std::size_t most_values = std::numeric_limits<std::size_t>::max());

// --- Lines: what a client receives
// -----------------------------------------------------------------------------------

struct Response {
  nlohmann::json id;
  nlohmann::json result;  ///< Null where there is an error.
  std::optional<Error> error;
};

struct Notification {
  std::string method;
  nlohmann::json params;
};

/// One line from the daemon, without its newline. Throws Error(kParse) where it is neither.
std::variant<Response, Notification> parse_message(std::string_view line);

// --- Writing lines: each ends with its newline
// -----------------------------------------------------------------------

std::string request_line(const nlohmann::json& id, std::string_view method, const nlohmann::json& params);
std::string result_line(const nlohmann::json& id, const nlohmann::json& result);
std::string error_line(const nlohmann::json& id, const Error& error);
std::string notification_line(std::string_view method, const nlohmann::json& params);
/// document.output; the output's JSON text goes in as it is.
std::string output_line(const DocumentId& id, const Output& output);
std::string progress_line(const DocumentStatus& status);
/// document.done or document.failed, as the phase says.
std::string finished_line(const DocumentStatus& status);
/// Compact text; bytes that are not UTF-8 become U+FFFD, so that it never fails.
std::string dump_json(const nlohmann::json& json);

// --- Values
// ----------------------------------------------------------------------------------------------------------

/// {document, name, priority, phase: "open"|"done"|"failed", bytes, total_bytes?, tokens, outputs,
/// tokens_per_second, error?}: the answer of document.status, and each element of document.list's {documents:
/// [...]}.
nlohmann::json status_to_json(const DocumentStatus& status);
DocumentStatus status_from_json(const nlohmann::json& json);
/// {document, bytes, total_bytes?, tokens, tokens_per_second}: document.progress's parameters.
nlohmann::json progress_to_json(const DocumentStatus& status);
/// {tokens, bytes, outputs, tokens_per_second}: document.done's summary.
nlohmann::json summary_to_json(const DocumentStatus& status);

// --- Where the socket is
// ---------------------------------------------------------------------------------------------

/// Throws Error(kInvalidParams) where the path is empty or longer than kMaxSocketPathBytes.
void check_socket_path(const std::filesystem::path& path);

}  // namespace unroll
