// The only error type that leaves the engine. Codes are those of JSON-RPC 2.0 and, from -32000 down, unroll's
// own; docs/protocol.md holds the same table.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace unroll {

enum class ErrorCode : int {
  kParse = -32700,
  kInvalidRequest = -32600,
  kMethodNotFound = -32601,
  kInvalidParams = -32602,
  kInternal = -32603,
  kDocumentUnknown = -32000,  ///< No such document, or it belongs to another user.
  kDocumentState = -32001,    ///< Not possible now: appended after the end, resumed while open, ...
  kPluginUnknown = -32002,
  kPluginFailed = -32003,
  kLimit = -32004,  ///< A limit was exceeded; the text names it and its value.
  kCancelled = -32005,
  kDeadline = -32006,
  kSource = -32007,   ///< The document's bytes could not be read.
  kJournal = -32008,  ///< The journal could not be written: disk full, read-only, damaged.
  kModel = -32009,    ///< The model could not be loaded, or failed on a block.
  kShuttingDown = -32010,
  kPermission = -32011,
  kPeerGone = -32012,  ///< The client disconnected before the document's end.
  kModelUnknown = -32013,
  kSnapshotUnknown = -32014,  ///< No such snapshot, or it belongs to another user.
};

/// what() says what happened, to which document or file, and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& text) : std::runtime_error(text), code(code) {}
  ErrorCode code;
};

/// The journal's disk is full. The failed operation can be retried when there is space.
class NoRoomError : public Error {
 public:
  explicit NoRoomError(const std::string& text) : Error(ErrorCode::kJournal, text) {}
};

/// A limit of the configuration was reached. what() is "WHAT (KEY is VALUE); ADVICE".
class LimitError : public Error {
 public:
  LimitError(const std::string& what, std::string_view key, std::uint64_t value, const std::string& advice)
      : Error(ErrorCode::kLimit,
              what + " (" + std::string(key) + " is " + std::to_string(value) + "); " + advice),
        key(key),
        value(value) {}
  std::string key;  ///< As in config/keys.cc.
  std::uint64_t value;
};

}  // namespace unroll
